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

// The picture of a Pod's way, in pixels.
const (
	boxWidth   = 178
	boxGap     = 26
	lineHeight = 17
	padding    = 12
)

// TestCurrentPicture: deploy/docs/pod.svg is drawn from deploy/docs/pod.txt.
func TestCurrentPicture(t *testing.T) {
	drawn := picture(strings.Split(strings.TrimSpace(read(t, "deploy/docs/pod.txt")), "\n\n"))
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(filepath.Join(root, "deploy/docs/pod.svg"), []byte(drawn), 0o644))
		return
	}
	assert.Equal(t, drawn, read(t, "deploy/docs/pod.svg"), "UPDATE_GOLDEN=1 go test ./test/docs draws it again")
}

// picture returns boxes from left to right as an SVG. Each box is a title and lines. The background stays open and the colours can be
// read on white and on black, because a page is shown on both.
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

// drawArrow draws one that ends at the box that begins at x.
func drawArrow(out *strings.Builder, x, y int) {
	fmt.Fprintf(out, `<path d="M%d %dh%dm-6 -5l6 5l-6 5" fill="none" stroke="#808080" stroke-width="1.5"/>`+"\n",
		x-boxGap+3, y, boxGap-6)
}
