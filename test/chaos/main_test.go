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

// A form has the values that differ between a short run, for every change, and a long run, for a release.
type form struct {
	// steady is the time for which TestSteadyLoad creates Pods and measures memory.
	steady time.Duration
	// growth is the largest accepted ratio between the memory at the end and at the beginning of TestSteadyLoad.
	growth float64
	// rollouts is the number of rollouts of both replicas. kills is the number of times that one of two replicas is
	// killed.
	rollouts, kills int
	// drain is the value of the flag --drain, which newCluster makes longer on a slow machine. probe is the period of the
	// readiness probe. The long form has the Deployment's values.
	drain, probe time.Duration
	// rotations is the number of new certificates for each replica.
	rotations int
	// stops is the number of replicas that are stopped during reviews.
	stops int
}

var (
	short = form{steady: 20 * time.Second, growth: 1.25, rollouts: 3, kills: 4, drain: 5 * time.Second, probe: 250 * time.Millisecond,
		rotations: 3, stops: 6}
	long = form{steady: 10 * time.Minute, growth: 1.05, rollouts: 20, kills: 20, drain: 10 * time.Second, probe: 2 * time.Second,
		rotations: 10, stops: 50}
	// chosenForm is the form of this run, short or long.
	chosenForm = short
)

// binary is the path of the webhook's program.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv("CHAOS") == "" {
		fmt.Println("skipped: these tests take minutes. Run them with make chaos")
		os.Exit(0) //nolint:forbidigo // TestMain is the main of this program
	}
	if os.Getenv("CHAOS") == "long" {
		chosenForm = long
	}
	status := 1
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	} else {
		status = m.Run()
		// A test that failed before it called report is not in the table.
		figures.print(os.Stdout)
	}
	if err := stopCluster(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		status = 1
	}
	os.Exit(status) //nolint:forbidigo // TestMain is the main of this program
}

// prepare sets binary. It returns an error if the program is not built.
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
