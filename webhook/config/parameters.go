package config

import (
	"strconv"
	"strings"
)

// PolicyParameters are those parameters of the policies that say what the configuration says too, as they have to be for
// this one: the policies are told nothing by the webhook, and refuse a pod that it makes otherwise.
func (c *Config) PolicyParameters() map[string]string {
	readOnly := make([]string, 0, len(c.Share.ReadOnly))
	for _, d := range c.Share.ReadOnly {
		readOnly = append(readOnly, d.SubPath+":"+d.MountPath)
	}
	return map[string]string{
		"claims":                   c.Share.ClaimName,
		"shareVolume":              c.Share.VolumeName,
		"shareMountPath":           c.Share.MountPath,
		"homes":                    c.Share.Homes,
		"readOnly":                 strings.Join(readOnly, " "),
		"exposeEveryHome":          string(c.Share.ExposeEveryHome),
		"strictSupplementalGroups": strconv.FormatBool(c.Identity.StrictSupplementalGroups),
		"scratchVolume":            c.Scratch.VolumeName,
		"scratchMountPath":         c.Scratch.MountPath,
		"notebookHomes":            c.Notebook.Homes,
		"initImages":               strings.Join(append([]string{c.Init.Image}, c.Init.AcceptedImages...), " "),
	}
}
