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

// replacesAccounts reports whether the notebook container sets both variables of nss_wrapper. If nss_wrapper is loaded, it
// reads the files that they name in place of /etc/passwd and /etc/group, so that our account files have no effect.
func (in *planning) replacesAccounts() bool {
	isSet := func(name string) bool { v := in.envValue(name); return v.set && (!v.known || v.value != "") }
	return isSet("NSS_WRAPPER_PASSWD") && isSet("NSS_WRAPPER_GROUP")
}
