package docs

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/pages"
)

// TestCommandsAreListed tests that test/pages/commands.txt has every command line of the pages, and every entry of the list
// is in a page. Each section of the list names a test, or a function of a test, that exists; or the reason why no test runs the
// commands.
func TestCommandsAreListed(t *testing.T) {
	commands, sections, tests := pages.Commands(t), pages.Sections(t, "commands.txt"), testFunctions(t)
	require.Greater(t, len(commands), 100)
	held := map[string]bool{}
	for _, section := range sections {
		reason, without := strings.CutPrefix(section.Name, "not run: ")
		name := strings.TrimSuffix(strings.Fields(section.Name)[0], ":")
		assert.True(t, without && len(reason) > 20 || tests[name], "there is no test %s", name)
		for _, test := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(section.Name, -1) {
			assert.True(t, tests[test], "there is no test %s", test)
		}
		for _, entry := range section.Lines {
			found := false
			for _, c := range commands {
				if c.Matches(entry) {
					found, held[c.Line()] = true, true
				}
			}
			assert.True(t, found, "no page has the command %s", entry)
		}
	}
	for _, c := range commands {
		assert.True(t, held[c.Line()], "%s has a command that test/pages/commands.txt does not list: %s", c.Page, c.Line())
	}
}

// testFunctions returns the names of the functions in test files.
func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (?:\(\w+ \*?\w+\) )?(\w+)\(`)
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range function.FindAllStringSubmatch(string(text), -1) {
			found[match[1]] = true
		}
		return err
	}))
	return found
}

// TestMakeTargets tests that make help lists each target that commands.txt lists for this test, and explains the
// variables with which a page calls the target. KUBERNETES is an exception: pages explain this variable, and make help does
// not.
func TestMakeTargets(t *testing.T) {
	help, err := exec.Command("make", "-C", root, "--no-print-directory", "help").CombinedOutput()
	require.NoError(t, err, "%s", help)
	assigned := regexp.MustCompile(`^[A-Z]+=\S+$`)
	for _, c := range pages.CommandsIn(t, "TestMakeTargets:") {
		command, _, _ := strings.Cut(c.Line(), " && ")
		for _, word := range strings.Fields(command)[1:] {
			if assigned.MatchString(word) {
				variable, _, _ := strings.Cut(word, "=")
				assert.True(t, strings.Contains(string(help), variable+"=") || variable == "KUBERNETES", "%s: make help does not explain %s", c.Page, variable)
			} else {
				assert.Regexp(t, `(?m)^  make `+word+` `, string(help), "%s", c.Page)
			}
		}
	}
}

// TestImageNeedsAnEngine tests that without a container engine that can build, make image prints an error in one sentence.
func TestImageNeedsAnEngine(t *testing.T) {
	for engine, sentence := range map[string]string{
		"":      "make image needs docker, podman or buildah, and none of them is in PATH\n",
		"false": "make image: false cannot build here: false info says why\n",
	} {
		output, err := exec.Command("make", "-C", root, "--no-print-directory", "image", "CONTAINERS="+engine).CombinedOutput()
		require.Error(t, err)
		assert.Regexp(t, "^"+sentence+`make(?:\[\d+\])?: \*\*\* \[.*image\] Error 1\n$`, string(output))
	}
}
