package homes_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/homes"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// childTask has the options of a run in a child process.
type childTask struct {
	Share, Home, Skeleton string
	Users                 int
}

const taskVariable = "HOMES_TASK"

// TestMain runs a childTask, and no test, if a test has started this binary as a child process.
func TestMain(m *testing.M) {
	text, is := os.LookupEnv(taskVariable)
	if !is {
		os.Exit(m.Run()) //nolint:forbidigo // TestMain is the main of this program
	}
	if err := runTask(text); err != nil {
		fmt.Println("error:", err)
		os.Exit(1) //nolint:forbidigo // likewise
	}
}

func runTask(text string) error {
	var o childTask
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	skeleton, err := homes.ReadSkeleton(o.Skeleton)
	if err != nil {
		return err
	}
	c := config.Default()
	c.Share.Home = config.HomePattern(o.Home)
	known, accounts := homes.Known{}, []homes.Account{}
	for i := range o.Users {
		name := "alice"
		if i > 0 {
			name = fmt.Sprintf("user%d", i)
		}
		known[name] = identity.New(int64(5001+i), int64(6001+i), nil)
		accounts = append(accounts, homes.Account{Name: name, UID: int64(5001 + i)})
	}
	summary, err := homes.Run(context.Background(), homes.Options{
		Share: o.Share, Config: c, Identities: known, Skeleton: skeleton, Mode: 0o700,
		Say: func(what homes.Outcome, line string) { fmt.Printf("%s: %s\n", what, line) },
	}, accounts)
	fmt.Printf("%+v\n", summary)
	if err == nil && summary.Failed > 0 {
		err = errors.New("failed")
	}
	return err
}

// process returns a command that runs the task in a child process, and the output of that process.
func (o childTask) process(t *testing.T) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	text, err := json.Marshal(o)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	output := &strings.Builder{}
	c := exec.Command(self)
	c.Env, c.Stdout, c.Stderr = append(os.Environ(), taskVariable+"="+string(text)), output, output
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c, output
}
