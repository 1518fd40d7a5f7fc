package docs

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The sizes in the picture, in pixels.
const (
	boxWidth   = 178
	boxGap     = 26
	lineHeight = 17
	padding    = 12
)

// TestCurrentPicture tests that deploy/docs/pod.svg is the picture of the text in deploy/docs/pod.txt. UPDATE_GOLDEN=1
// draws it.
func TestCurrentPicture(t *testing.T) {
	drawn := picture(strings.Split(strings.TrimSpace(read(t, "deploy/docs/pod.txt")), "\n\n"))
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(filepath.Join(root, "deploy/docs/pod.svg"), []byte(drawn), 0o644))
		return
	}
	assert.Equal(t, drawn, read(t, "deploy/docs/pod.svg"), "UPDATE_GOLDEN=1 go test ./test/docs draws it")
}

// picture returns an SVG with boxes from left to right. Each box has a title and lines of text. The background is
// transparent, and the colours are readable on white and on black.
func picture(boxes []string) string {
	lines := 0
	for _, box := range boxes {
		lines = max(lines, strings.Count(box, "\n")+1)
	}
	width, height := len(boxes)*(boxWidth+boxGap)-boxGap+2, lines*lineHeight+2*padding+2
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12.5">`+"\n",
		width, height)
	for i, box := range boxes {
		drawBox(&out, 1+i*(boxWidth+boxGap), height, strings.Split(box, "\n"))
		if i > 0 {
			drawArrow(&out, 1+i*(boxWidth+boxGap), height/2)
		}
	}
	out.WriteString("</svg>\n")
	return out.String()
}

func drawBox(out *strings.Builder, x, height int, lines []string) {
	fmt.Fprintf(out, `<rect x="%d" y="1" width="%d" height="%d" rx="6" fill="none" stroke="#e8710a" stroke-width="1.5"/>`+"\n",
		x, boxWidth, height-2)
	for i, line := range lines {
		weight := "normal"
		if i == 0 {
			weight = "bold"
		}
		fmt.Fprintf(out, `<text x="%d" y="%d" font-weight="%s" fill="#808080">%s</text>`+"\n",
			x+padding, padding+(i+1)*lineHeight-4, weight, html.EscapeString(strings.TrimSpace(line)))
	}
}

// drawArrow draws an arrow that ends at the box whose left side is at x.
func drawArrow(out *strings.Builder, x, y int) {
	fmt.Fprintf(out, `<path d="M%d %dh%dm-6 -5l6 5l-6 5" fill="none" stroke="#808080" stroke-width="1.5"/>`+"\n",
		x-boxGap+3, y, boxGap-6)
}
