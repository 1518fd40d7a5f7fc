package uml

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// agentPort is the port of the agent, a process of the machine that runs commands for its clients. The port can be reached
// only from the enclosure.
const agentPort = "7"

// Command is a command for the agent to run.
type Command struct {
	Args  []string
	Stdin string `json:",omitempty"`
	// Log is the path of a file on the machine. If it is set, the call does not wait for the command, and the output of the
	// command goes to this file.
	Log         string   `json:",omitempty"`
	Environment []string `json:",omitempty"`
}

// Result is the result of a command: its output, with standard output and standard error together, and its exit status.
type Result struct {
	Output string
	Code   int
	// Error is empty if the command was run. Otherwise Error is the reason, and Code is -1.
	Error string `json:",omitempty"`
}

// serveAgent is the agent: it runs the commands of its clients on the machine.
func serveAgent(address string) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(address, agentPort))
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var command Command
		if r.Method == http.MethodPost {
			if err := json.NewDecoder(r.Body).Decode(&command); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		_ = json.NewEncoder(w).Encode(command.run(r.Context()))
	})}
	return server.Serve(listener)
}

func (c Command) run(ctx context.Context) Result {
	if len(c.Args) == 0 {
		return Result{}
	}
	if c.Log != "" {
		return c.start()
	}
	command := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	command.Env = append(os.Environ(), c.Environment...)
	command.Stdin = strings.NewReader(c.Stdin)
	// A daemon that the command has started may keep the output open. Without WaitDelay, the agent would wait for its end.
	command.WaitDelay = time.Second
	output, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return Result{Output: string(output), Code: -1, Error: err.Error()}
	}
	return Result{Output: string(output), Code: command.ProcessState.ExitCode()}
}

func (c Command) start() Result {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return Result{Code: -1, Error: err.Error()}
	}
	command := exec.Command(c.Args[0], c.Args[1:]...)
	command.Env = append(os.Environ(), c.Environment...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return Result{Code: -1, Error: errors.Join(err, log.Close()).Error()}
	}
	go func() {
		err := command.Wait()
		_, _ = fmt.Fprintln(log, c.Args[0], "has ended:", err)
		_ = log.Close()
	}()
	return Result{}
}

// agentClient sends commands from the enclosure to the agent of a machine.
type agentClient struct{ address string }

// Do runs a command on the machine. A command that fails is no error: see Result.
func (a agentClient) Do(ctx context.Context, c Command) (Result, error) {
	sent, err := json.Marshal(c)
	if err != nil {
		return Result{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+net.JoinHostPort(a.address, agentPort), bytes.NewReader(sent))
	if err != nil {
		return Result{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return Result{}, fmt.Errorf("run %s on the machine: %w", c.Args[0], err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return Result{}, fmt.Errorf("run %s on the machine: %w", c.Args[0], err)
	}
	var result Result
	return result, json.Unmarshal(answer, &result)
}

// Must is like Do, but returns the output of the command, and an error if the command fails.
func (a agentClient) Must(ctx context.Context, arguments ...string) (string, error) {
	result, err := a.Do(ctx, Command{Args: arguments})
	if err == nil && result.Code != 0 {
		err = fmt.Errorf("%s: exit status %d %s: %s", strings.Join(arguments, " "), result.Code, result.Error, result.Output)
	}
	return result.Output, err
}

// Script runs a bash script on the machine, and returns its output. The script ends at the first command that fails.
func (a agentClient) Script(ctx context.Context, script string, arguments ...string) (string, error) {
	result, err := a.Do(ctx, Command{Args: append([]string{"bash", "-euo", "pipefail", "-s", "--"}, arguments...), Stdin: script})
	if err == nil && result.Code != 0 {
		err = fmt.Errorf("exit status %d %s: %s", result.Code, result.Error, result.Output)
	}
	return result.Output, err
}

func (a agentClient) responds(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	result, err := a.Do(ctx, Command{Args: []string{"true"}})
	return err == nil && result.Code == 0
}
