package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version and commit are set by the linker, as in -X main.version=v0.2.0.
var version, commit = "dev", ""

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text := fmt.Sprintf("%s %s %s/%s %s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, revision())
			_, err := fmt.Fprintln(cmd.OutOrStdout(), strings.TrimSpace(text))
			return err
		},
	}
}

// revision returns the commit that the binary was built from; empty if neither the linker nor the go command has recorded
// it.
func revision() string {
	if commit != "" {
		return commit
	}
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
