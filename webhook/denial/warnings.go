package denial

import (
	"fmt"
	"slices"
)

// Warnings are shown to the requester, by kubectl as "Warning: …". They say what the webhook changed, what it left out, and
// which facts about the Pod it could not find out.

// FSGroupRemoved warns that the fsGroup was removed. volumes are the volumes whose files the kubelet then no longer gives
// to that group.
func FSGroupRemoved(gid int64, volumes []string) string {
	return fmt.Sprintf("fsGroup %d is removed, because it would change the group of the whole share; it may also have served "+
		"%s: make sure that the user can write there", gid, list(volumes))
}

// GroupsCut warns that a Pod lacks some of the user's groups, because the user has more than limit groups.
func GroupsCut(name string, limit int) string {
	return fmt.Sprintf("the pod gets only the %d supplementary groups of %s with the lowest numbers, and cannot access "+
		"files of the others (identity.tooManyGroups: Cut)", limit, name)
}

// GroupsLeftOut warns that a Pod lacks some supplementary groups of the user: those below minGID, and those with a number
// that no Pod can have. The warning does not name the groups, because a requester who may not create Pods of this user can
// get the warning too.
func GroupsLeftOut(name string, minGID int64) string {
	return fmt.Sprintf("supplementary groups of %s are left out: those under %d (identity.minGID), which belong to the system, "+
		"and those with a number that no Pod can have; the pod cannot access their files", name, minGID)
}

// PrivilegesRemoved warns that privileges of the notebook container were removed.
func PrivilegesRemoved(fields []string) string {
	return fmt.Sprintf("%s removed: the notebook runs as the user, without privileges", are(fields))
}

// PrivilegesRemovedFrom warns that privileges of another container with the home were removed.
func PrivilegesRemovedFrom(container string, fields []string) string {
	return fmt.Sprintf("%s removed from the container %s: it has the home, so it runs as the user, without privileges",
		are(fields), Printable(container))
}

// StartsAsRoot warns that the notebook container starts as root, although the Pod asks for runAsNonRoot, for all containers
// or for this one.
func StartsAsRoot() string {
	return "runAsNonRoot is turned off: the UID is found when the pod starts, so the notebook container starts as root, with two " +
		"capabilities, and becomes the user before its own command runs"
}

// DirectoriesLeftOut warns that the directories which notebooks have besides the home are not mounted.
func DirectoriesLeftOut(paths []string) string {
	return fmt.Sprintf("%s not mounted: only a pod whose UID and GID are known at admission sees more of the share than the "+
		"home", are(paths))
}

// EveryHomeToRoot warns that the notebook container starts as root and sees every home, as the configuration says.
func EveryHomeToRoot() string {
	return "the whole share is mounted into a container that starts as root (share.exposeEveryHome: EvenToRoot): anyone who can " +
		"kubectl exec into it can read and write every home"
}

// ProbesLeftOut warns that no probes are added. why is one of the texts of listening.go.
func ProbesLeftOut(why string) string {
	return "no probes are added: " + why
}

// ReadinessAlone warns that a container gets a readiness probe and no other probe, because its image is unknown.
func ReadinessAlone(container, annotation string) string {
	return fmt.Sprintf("the webhook cannot tell whether the image of the container %s starts Jupyter, so it adds a "+
		"readiness probe, but no probe that restarts the container: set the annotation %s to on if Jupyter starts, or to "+
		"off if it does not", Printable(container), annotation)
}

// StartUnclear warns that the webhook cannot tell whether a command starts Jupyter.
func StartUnclear(container, annotation string) string {
	return fmt.Sprintf("the webhook cannot tell from the command of the container %s whether it starts Jupyter, so it "+
		"adds no probes: set the annotation %s to on if Jupyter starts, or to off if it does not",
		Printable(container), annotation)
}

// PortAssumed warns that the webhook cannot read the script that starts Jupyter, so the probes are for the port and base URL
// that the webhook sets, which the script can change.
func PortAssumed(container string, port int32, base, annotation string) string {
	return fmt.Sprintf("the webhook cannot read the script of the container %s, so the probes are for port %d and base URL %s: "+
		"if the script sets another port, set the variable JUPYTER_PORT too; if it sets another base URL, set the annotation %s "+
		"to off", Printable(container), port, base, annotation)
}

// SettingsElsewhere warns that the webhook sets where Jupyter listens, and does not read the Jupyter settings in a
// directory. variable is the environment variable that names the directory.
func SettingsElsewhere(variable, annotation string) string {
	return fmt.Sprintf("the webhook sets where Jupyter listens, whatever is in the directory of %s: if the pod needs "+
		"another port or base URL, write --port and --ServerApp.base_url, or JUPYTER_PORT; for probes of your own, set the "+
		"annotation %s to off", variable, annotation)
}

// OpensInImagesHome warns that a shell script or the variable NOTEBOOK_ARGS tells Jupyter to open in the image's own home,
// which the user cannot enter.
func OpensInImagesHome(dir, home string) string {
	return fmt.Sprintf("Jupyter is told to open in %s, which is the home of the image's own user: write %s, or leave it out",
		Printable(dir), home)
}

// OpensElsewhere warns that the image tells Jupyter to open in a directory of the image's own.
func OpensElsewhere(dir string) string {
	return fmt.Sprintf("this image opens Jupyter in %s and not in the home, and what is saved there is lost with the pod: write "+
		"command: [jupyter, notebook] beside image", dir)
}

// WithoutToken warns that the command of the Pod turns the token of Jupyter off.
func WithoutToken(name string) string {
	return fmt.Sprintf("Jupyter asks for no token: anyone who can connect to the pod can be %s, unless %s has set a "+
		"password for Jupyter: leave the empty token out of command, args and NOTEBOOK_ARGS", name, name)
}

// BesideLoginProxy warns that the command of the Pod turns the token of Jupyter off, because a login proxy in the Pod
// authenticates the clients. Jupyter's own port is open to clients that do not come through the proxy.
func BesideLoginProxy(name string) string {
	return fmt.Sprintf("Jupyter asks for no token, and its port is open beside the login proxy: anyone who can connect to that "+
		"port can be %s: let a NetworkPolicy admit clients to the port of the proxy only", name)
}

// ImageWithoutToken warns that the image turns the token of Jupyter off.
func ImageWithoutToken(name string) string {
	return fmt.Sprintf("Jupyter of this image asks for no token: anyone who can connect to the pod can be %s: write "+
		"command: [jupyter, lab] beside image", name)
}

// ContainerByGuess warns that the webhook guessed which of several containers is the notebook container.
func ContainerByGuess(container string, others []string, annotation string) string {
	return fmt.Sprintf("the webhook takes the container %s for the notebook container, and not %s: if that is wrong, "+
		"name the right one in the annotation %s", Printable(container), list(others), annotation)
}

// AnnotationUnknown warns of an unknown annotation with our prefix.
func AnnotationUnknown(key string, known []string) string {
	return fmt.Sprintf("the annotation %s is unknown to the webhook, which knows %s", Printable(key), list(known))
}

// EnvReplaced warns that the Pod's own values of variables that identify the user, such as USER or HOME, do not count: the
// variables get the user's values.
func EnvReplaced(names []string) string {
	return fmt.Sprintf("%s set to the value of the user", are(names))
}

// EnvRemoved warns that variables with the user's numbers were removed, because these numbers are found when the container
// starts. Kubernetes then expands no reference to them, and starts no container with such a reference in a subPathExpr.
func EnvRemoved(names []string) string {
	return fmt.Sprintf("%s removed, and set to the value of the user when the container starts: leave references such as "+
		"$(%s) out of the pod", are(names), names[0])
}

// HomeOfTheImage warns that a field or variable that named a directory in the image's own home (old) now names the user's
// home, or a directory in the user's home (replacement).
func HomeOfTheImage(field, old, replacement string) string {
	return fmt.Sprintf("%s is %s instead of %s, which is the home of the image's own user and not of the Pod's user", field,
		replacement, Printable(old))
}

// InImagesHome warns that a variable names a file or directory in the image's own home. The webhook does not change this
// variable.
func InImagesHome(variable, path string) string {
	return fmt.Sprintf("%s is %s, in the home of the image's own user, which the pod's user may be unable to enter: if the "+
		"notebook needs it, use an image that has it elsewhere, or copy it to the user's home and name it there",
		Printable(variable), Printable(path))
}

// AccountsElsewhere warns that nss_wrapper can hide the account files that the webhook mounts.
func AccountsElsewhere() string {
	return "with NSS_WRAPPER_PASSWD and NSS_WRAPPER_GROUP, and nss_wrapper loaded (LD_PRELOAD), programs do not read /etc/passwd " +
		"and /etc/group, in which the webhook names the user: leave these variables out"
}

// The next three functions are for Warn mode, in which nothing is changed or denied.

// WouldBeDenied warns that the Pod would be denied.
func WouldBeDenied(d Denial) string { return fmt.Sprintf("would be denied: %s: %s", d.Reason, d) }

// WouldBecome warns that the Pod would be injected.
func WouldBecome(name, discovery, identity string) string {
	as := discovery
	if identity != "" {
		as += ", as " + identity
	}
	return fmt.Sprintf("would become a notebook of %s (%s): the webhook is in mode Warn and leaves the pod as it is", name, as)
}

// WouldWarn returns a warning as Warn mode shows it.
func WouldWarn(warning string) string { return "would be warned: " + warning }

// FirstWarnings returns the first maxShown warnings. If there are more, it adds a warning with the number of the others.
func FirstWarnings(warnings []string) []string {
	if len(warnings) <= maxShown {
		return warnings
	}
	return append(slices.Clone(warnings[:maxShown]), fmt.Sprintf("and %d more", len(warnings)-maxShown))
}

func are(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return list(names) + " are"
}
