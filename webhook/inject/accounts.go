package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Account files: a passwd and a group file with the user, so that whoami, ssh and Python's getpass work without a useradd
// as root.
//
// Mounts the files passwd and group of the scratch volume over /etc/passwd and /etc/group, read-only. The mounts are ours
// (mounts.go). The configuration turns the mounts on or off (notebook.accountFiles). The annotation
// jupyter-user.io/account-files overrides this for one Pod.

func (in *planning) planAccounts() [2]wantedMount {
	file := func(name, at, before string) wantedMount {
		return wantedMount{
			Mount: pod.Mount{Name: in.planner.config.Scratch.VolumeName, ReadOnly: true, MountPath: at, SubPath: name},
			description: description{
				before: before, name: in.facts.User.String(),
				after: " (turned off by the annotation " + accountFilesAnnotation + ": off)",
			},
		}
	}
	return [...]wantedMount{
		file(handoff.PasswdFile, "/etc/"+handoff.PasswdFile, "a "+handoff.PasswdFile+" that knows "),
		file(handoff.GroupFile, "/etc/"+handoff.GroupFile, "a "+handoff.GroupFile+" that knows "),
	}
}

// accountsElsewhere returns the names of the notebook container's variables that name a file which nss_wrapper reads in place of
// /etc/passwd or /etc/group.
func (in *planning) accountsElsewhere() (names []string) {
	for _, v := range in.notebook.Env {
		if v.Name == "NSS_WRAPPER_PASSWD" || v.Name == "NSS_WRAPPER_GROUP" {
			names = append(names, v.Name)
		}
	}
	return names
}
