package e2e

import (
	"context"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// browserLimit is the time in which a browser starts and draws a page with megabytes of JavaScript.
const browserLimit = 2 * machine.Patience

// screenshot opens an address in a real browser, runs the given actions, waits until labIsDrawn is true, and returns a
// screenshot.
func screenshot(t *testing.T, address string, actions ...chromedp.Action[chromedp.Void]) []byte {
	t.Helper()
	program, err := exec.LookPath("chromium-headless-shell")
	if err != nil {
		program, err = exec.LookPath("chromium")
	}
	require.NoError(t, err, "install the packages of test/e2e/debian-packages")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.NoSandbox, // The browser's sandbox needs an ordinary user, and the tests run as root.
		chromedp.WindowSize(1280, 800),
		chromedp.UserDataDir(t.TempDir()),
	)
	ctx, cancel := context.WithTimeout(t.Context(), readyLimit+browserLimit)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	require.NoError(t, chromedp.Do(ctx, append([]chromedp.Action[chromedp.Void]{chromedp.Navigate(address)}, actions...)...))
	drawn, err := chromedp.Run(ctx, chromedp.Poll[bool](labIsDrawn, chromedp.WithPollingTimeout(browserLimit/2)))
	picture, failed := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	require.NoError(t, failed)
	if !drawn || err != nil {
		keepArtifact(t, "not-drawn.png", picture)
	}
	require.NoError(t, err)
	require.True(t, drawn)
	return picture
}

// labIsDrawn is a JavaScript expression. It is true on a page with the launcher and a file of the home, without the splash
// screen.
const labIsDrawn = `document.querySelector(".jp-Launcher") !== null && document.querySelector(".jp-DirListing-item") !== null &&
	document.querySelector("#jupyterlab-splash") === null`
