//go:build !linux

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// homesCommand returns a command that fails: on this system, no system call opens a path without following symbolic links.
func homesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "homes",
		Short: "Make the homes that users of the directory service do not have yet (on Linux only)",
		RunE: func(*cobra.Command, []string) error {
			return errors.New("the command homes needs Linux: run it on a node, or as the chart's CronJob (homes.enabled)")
		},
	}
}
