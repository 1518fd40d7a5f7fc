package denial

import (
	"fmt"
	"slices"
)

// Warnings are shown to whoever created the pod, by kubectl as "Warning: …". They tell what was left alone or changed
// against the pod's own wish. A pod that wished for nothing gets none.

// FSGroupTaken warns that volumes will not be given to a group any more.
func FSGroupTaken(gid int64, volumes []string) string {
	return fmt.Sprintf("fsGroup %d is taken off, it would re-group the whole share; it also served %s: make sure that the "+
		"person can write there", gid, list(volumes))
}

// GroupsCut warns that a person works without some of their groups.
func GroupsCut(name string, most int) string {
	return fmt.Sprintf("only the first %d supplementary groups of %s are given, in ascending order of their numbers: files of the "+
		"others are out of reach (identity.tooManyGroups: Cut)", most, name)
}

// GroupsLeftOut warns that a user works without the supplementary groups that are no user's. Which they are is not said: a
// requester who may not be that user is warned too.
func GroupsLeftOut(name string, minGID int64) string {
	return fmt.Sprintf("supplementary groups of %s under %d (identity.minGID) are left out, and with them those whose number no "+
		"Pod can have: they are the system's, and their files are out of reach", name, minGID)
}

// PrivilegeTaken warns that the notebook container has asked for more than a person has.
func PrivilegeTaken(fields []string) string {
	return fmt.Sprintf("%s taken away: the notebook runs as the person, without privileges", are(fields))
}

// PrivilegeTakenFrom warns that another container which has the home has asked for more than its user has.
func PrivilegeTakenFrom(container string, fields []string) string {
	return fmt.Sprintf("%s taken away from the container %s: it has the home, so it runs as the user, without privileges",
		are(fields), Printable(container))
}

// RootForAnInstant warns that a container which is not to be root begins as root.
func RootForAnInstant() string {
	return "runAsNonRoot is turned off: the UID is found when the pod starts, so the notebook container begins as root, with two " +
		"capabilities, and becomes the person in its first instruction"
}

// DirectoriesLeftOut warns that configured directories of the share are not mounted.
func DirectoriesLeftOut(paths []string) string {
	return fmt.Sprintf("%s not mounted: only a pod whose UID and GID are known at admission sees more of the share than the "+
		"home", are(paths))
}

// EveryHomeToRoot warns that the configuration lets this pod reach every home.
func EveryHomeToRoot() string {
	return "the whole share is mounted into a container that starts as root (share.exposeEveryHome: EvenToRoot): whoever may " +
		"kubectl exec into it can read and write every home"
}

// ProbesLeftOut warns that Jupyter starts but where it listens cannot be told.
func ProbesLeftOut(why string) string {
	return "no probes are added: " + why
}

// ReadinessAlone warns that nothing watches over a container whose image is not known.
func ReadinessAlone(container, annotation string) string {
	return fmt.Sprintf("whether Jupyter is what the image of the container %s starts cannot be told, so it gets a readiness "+
		"probe and none that restarts it: set the annotation %s to on if Jupyter starts, or to off if it does not",
		Printable(container), annotation)
}

// StartUnclear warns that a command line is not understood.
func StartUnclear(container, annotation string) string {
	return fmt.Sprintf("whether Jupyter is what the container %s starts cannot be told from its command, so no probes are added: "+
		"set the annotation %s to on if Jupyter starts, or to off if it does not", Printable(container), annotation)
}

// SettingsElsewhere warns that a directory of settings does not say where Jupyter listens.
func SettingsElsewhere(variable, annotation string) string {
	return fmt.Sprintf("where Jupyter listens is settled by the webhook, whatever is in the directory of %s: write --port and "+
		"--ServerApp.base_url, or JUPYTER_PORT, where the pod needs another place, and %s: off for probes of its own",
		variable, annotation)
}

// OpensInImagesHome warns that Jupyter is told to open in a directory that the user may not enter, where it cannot be replaced.
func OpensInImagesHome(dir, home string) string {
	return fmt.Sprintf("Jupyter is told to open in %s, which is the home of the image's own user: write %s, or leave it out",
		Printable(dir), home)
}

// ContainerByGuess warns that one container of several was taken for the notebook.
func ContainerByGuess(container string, others []string, annotation string) string {
	return fmt.Sprintf("the container %s is taken for the notebook, and %s not: if it is another one, name it by the annotation %s",
		Printable(container), are(others), annotation)
}

// AnnotationUnknown warns of an annotation with our prefix that means nothing.
func AnnotationUnknown(key string, known []string) string {
	return fmt.Sprintf("the annotation %s means nothing to the webhook; it knows %s", Printable(key), list(known))
}

// EnvTaken warns that variables which say who the person is were changed.
func EnvTaken(names []string) string {
	return fmt.Sprintf("%s set to the person's own", are(names))
}

// HomeOfTheImage warns that Jupyter is elsewhere than the pod said: in the person's home.
func HomeOfTheImage(field, was, home string) string {
	return fmt.Sprintf("%s is %s in place of %s, which is the home of the image's own user and not the person's", field, home,
		Printable(was))
}

// What follows is said in mode Warn, where nothing is done.

// WouldBeDenied tells of a refusal.
func WouldBeDenied(a Denial) string { return fmt.Sprintf("would be refused: %s: %s", a.Reason, a) }

// WouldBecome tells of a pod that would be changed.
func WouldBecome(name, discovery, identity string) string {
	as := discovery
	if identity != "" {
		as += ", as " + identity
	}
	return fmt.Sprintf("would become a notebook of %s (%s): the webhook is in mode Warn and leaves the pod as it is", name, as)
}

// WouldWarn tells of what the person would be warned of.
func WouldWarn(warning string) string { return "would be warned: " + warning }

// FirstWarnings are the warnings that are told.
func FirstWarnings(warnings []string) []string {
	if len(warnings) <= MostShown {
		return warnings
	}
	return append(slices.Clone(warnings[:MostShown]), fmt.Sprintf("and %d more", len(warnings)-MostShown))
}

func are(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return list(names) + " are"
}
