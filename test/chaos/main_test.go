package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/project"
)

// form is how much of each scenario is played. The short one is for every change, the long one for a release.
type form struct {
	// steady is how long pods are created, of which memory is asked.
	steady time.Duration
	// grown is the most that memory may be afterwards, as a share of what it was.
	grown float64
	// rollouts of two replicas each, and kills of one.
	rollouts, kills int
	// drain is serve's, and probe how often a replica is asked whether it is ready. The long form has what the Deployment has.
	drain, probe time.Duration
	// rotations of the certificate.
	rotations int
	// stops of a server that is answering.
	stops int
}

var (
	short = form{steady: 20 * time.Second, grown: 1.25, rollouts: 3, kills: 4, drain: 5 * time.Second, probe: 250 * time.Millisecond,
		rotations: 3, stops: 6}
	long = form{steady: 10 * time.Minute, grown: 1.05, rollouts: 20, kills: 20, drain: 10 * time.Second, probe: 2 * time.Second,
		rotations: 10, stops: 50}
	// played is the one of this run.
	played = short
)

// binary is the program that is tried.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv("CHAOS") == "" {
		fmt.Println("left out: these tests take minutes. Run them with make chaos")
		os.Exit(0) //nolint:forbidigo // TestMain is the main of this program
	}
	if os.Getenv("CHAOS") == "long" {
		played = long
	}
	status := 1
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	} else {
		status = m.Run()
		// What has failed before it could be written down is in the output above.
		figures.print(os.Stdout)
	}
	if err := stopCluster(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		status = 1
	}
	os.Exit(status) //nolint:forbidigo // likewise
}

// prepare finds the program.
func prepare() error {
	folder, err := project.Folder()
	if err != nil {
		return err
	}
	binary = filepath.Join(folder, "bin", "jupyter-user-webhook")
	if _, err := os.Stat(binary); err != nil {
		return errors.Join(errors.New("the program is not built: run make build"), err)
	}
	return nil
}
