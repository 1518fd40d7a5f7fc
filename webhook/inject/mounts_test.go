package inject

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// TestNestedPaths compares nestedPaths with a comparison of all pairs of paths, on 5,000 generated containers.
func TestNestedPaths(t *testing.T) {
	seeded := rand.New(rand.NewPCG(1, 2))
	for range 5_000 {
		var mounts []pod.Mount
		for range seeded.IntN(8) {
			mounts = append(mounts, pod.Mount{MountPath: madeUpPath(seeded)})
		}
		var message *string
		if seeded.IntN(2) == 0 {
			message = new(madeUpPath(seeded))
		}
		var devices []pod.Device
		for range seeded.IntN(3) {
			devices = append(devices, pod.Device{DevicePath: madeUpPath(seeded)})
		}
		want := map[string]string{}
		all := slices.Clone(mounts)
		for _, d := range devices {
			if d.DevicePath != "" {
				all = append(all, pod.Mount{MountPath: d.DevicePath})
			}
		}
		if message != nil && *message != "" {
			all = append(all, pod.Mount{MountPath: *message})
		}
		for _, inner := range all {
			for _, outer := range all {
				at, around := pod.CleanPath(inner.MountPath), pod.CleanPath(outer.MountPath)
				if at != around && pod.Inside(at, around) && len(around) > len(want[at]) {
					want[at] = around
				}
			}
		}
		c := pod.Container{VolumeMounts: mounts, VolumeDevices: devices, TerminationMessagePath: message}
		require.True(t, maps.Equal(want, nestedPaths(&c)), "%v", all)
	}
}

// madeUpPath returns a random path. Some names in it are prefixes of other names, and some characters sort before a slash
// and others after it, because nestedPaths depends on the order of the paths.
func madeUpPath(seeded *rand.Rand) string {
	var b strings.Builder
	for range seeded.IntN(5) {
		b.WriteString([]string{"/", "/a", "/a-b", "/a.b", "/aa", "a", "/b", "//b/", "/..", "/.", "/a/b"}[seeded.IntN(11)])
	}
	return b.String()
}
