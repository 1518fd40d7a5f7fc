package e2e

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/sealed"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// world is what all tests share.
var world *World

func TestMain(m *testing.M) {
	if os.Getenv("E2E") == "" {
		fmt.Println("left out: these tests need root and a few minutes. Run them with make e2e")
		os.Exit(0) //nolint:forbidigo // TestMain is the main of this program
	}
	program := sealed.Program{Outside: build, Inside: func(room sealed.Room) int { return inside(m, room) }}
	if keep() {
		program.Doors, program.Opened = []string{apiDoor}, noteDoor
	}
	os.Exit(sealed.Run(program)) //nolint:forbidigo // likewise
}

func keep() bool { return os.Getenv("KEEP") != "" }

// build builds what the cluster runs, where there is a network.
func build(ctx context.Context) error {
	began := time.Now()
	if _, err := tools.Build(ctx, os.Stderr, append(tools.ControlPlaneTools(), tools.NodeTools()...)...); err != nil {
		return err
	}
	stage("programs", began)
	began = time.Now()
	_, err := images.Build(ctx, os.Stderr)
	stage("images built", began)
	return err
}

func inside(m *testing.M, room sealed.Room) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	var err error
	if world, err = newWorld(ctx, room); err != nil {
		fmt.Fprintln(os.Stderr, "error: start the cluster:", err)
		return 1
	}
	stage("cluster, all told", began)
	began = time.Now()
	status := m.Run()
	stage("tests", began)
	if keep() {
		world.keep(ctx)
	}
	return status
}

func stage(name string, began time.Time) {
	fmt.Fprintf(os.Stderr, "%7.1f s  %s\n", time.Since(began).Seconds(), name)
}
