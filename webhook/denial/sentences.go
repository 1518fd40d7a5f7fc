package denial

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// The review and the pod as a document.

// NotAPodReview answers a review about something else than the creation of a pod.
func NotAPodReview(kind string) Denial {
	if kind == "" {
		kind = "a review of nothing"
	}
	return malformed("NotAPodReview", "", "this path reviews Pods, not %s: the webhook configuration that sent it "+
		"should name the resource pods alone", Printable(kind))
}

// NotAReview answers a body that can be no review at all.
func NotAReview(why string) Denial {
	return malformed("NotAReview", "", "this is not an AdmissionReview as an API server sends it: %s", why)
}

// PodUnreadable answers a document that is JSON but no Pod, or no JSON.
func PodUnreadable(err error) Denial {
	return malformed("PodUnreadable", "", "this is not a Pod that can be read: %s", oneLine(err))
}

// TooLarge answers a body over the limit, in bytes.
func TooLarge(limit int64) Denial {
	return Denial{Code: http.StatusRequestEntityTooLarge, Reason: "TooLarge",
		Message: fmt.Sprintf("the review is larger than %d bytes: of a pod so large, with the defaults that an API server adds to "+
			"each of its containers, no notebook is made; leave out containers, variables or other long lists", limit)}
}

// TooManyChanges answers a pod that would take so many operations to put right, such as thousands of HOME variables.
func TooManyChanges(operations, most int) Denial {
	return unprocessable("TooManyChanges", "", "the pod needs %d changes and the most is %d: no pod that a person wrote does; "+
		"look for one variable or mount many times over", operations, most)
}

// TooMany answers a list that is longer than the webhook looks through.
func TooMany(field string, have, most int) Denial {
	return unprocessable("TooMany", field, "there are %d, and a notebook has at most %d: leave some out", have, most)
}

// TooManyNames denies a pod with a map that is longer than the webhook reads, wherever it is.
func TooManyNames(have, most int) Denial {
	return unprocessable("TooMany", "", "a map of the pod, such as its labels or annotations, has %d keys, and a notebook has at "+
		"most %d in one: leave some out", have, most)
}

// TooManyInAll denies containers whose lists are too long together.
func TooManyInAll(field string, most int) Denial {
	return unprocessable("TooMany", field, "the mounts, variables, arguments and other lists of these containers have more than "+
		"%d elements in all: leave some out", most)
}

// PathTooLong answers a path that no Linux takes.
func PathTooLong(field string, have, most int) Denial {
	return unprocessable("PathTooLong", field, "it has %d bytes, and a path has at most %d: shorten it", have, most)
}

// Internal answers a fault of ours. What went wrong is in the log, under the uid: it is nobody else's to read.
func Internal(uid string) Denial {
	return Denial{Code: http.StatusInternalServerError, Reason: "InternalError",
		Message: fmt.Sprintf("the webhook failed at this pod, which is its fault and not the pod's: "+
			"ask the admin to look for review %s in its log", Printable(uid))}
}

// The name.

// NameInvalid answers a name outside of the allow-list.
func NameInvalid(field, name, rule string) Denial {
	return unprocessable("NameInvalid", field, "%q cannot be a user here: %s", shorten(name), rule)
}

// NameReserved answers a name that is never a person's.
func NameReserved(field, name string) Denial {
	return forbidden("NameReserved", field, "%q is reserved and nobody's notebook can run as it: use the name of the "+
		"person's home directory", name)
}

// NameDomain answers a name with a domain that is not the configured one.
func NameDomain(field, name, domain string) Denial {
	if domain == "" {
		return forbidden("NameDomain", field, "%q has a domain, and this cluster takes none off: use the name alone, or ask "+
			"the admin to set user.domains", shorten(name))
	}
	return forbidden("NameDomain", field, "%q is of another domain than %s, and might be another person than the one of "+
		"that name here", shorten(name), domain)
}

// NamesDiffer answers a pod whose label and annotation name two people.
func NamesDiffer(label, inLabel, annotation, inAnnotation string) Denial {
	return unprocessable("NamesDiffer", "metadata", "the label %s says %q and the annotation %s says %q, and a pod runs as one "+
		"person: a hub that sets the label itself (KubeSpawner's extra_labels, with a template such as {username}) need not, "+
		"the annotation is enough", label, shorten(inLabel), annotation, shorten(inAnnotation))
}

// HubNameUnmapped denies a hub's name that the map does not have.
func HubNameUnmapped(annotation, hubName string) Denial {
	return forbidden("HubNameUnmapped", AnnotationField(annotation), "no user here is known to the hub as %q: ask the admin to "+
		"add the "+
		"name to the map of hubs' names, or to the directory service", shorten(hubName))
}

// HubNameUnusable denies a hub's name that the directory service has in a way that names no one user. Why begins behind the name.
func HubNameUnusable(annotation, hubName, why string) Denial {
	return forbidden("HubNameUnusable", AnnotationField(annotation), "%q %s: ask the admin of the directory "+
		"service to correct the account", shorten(hubName), why)
}

// HubNameSilent answers where the user of a hub's name cannot be found out, now.
func HubNameSilent(annotation, hubName string) Denial {
	return Denial{Code: http.StatusServiceUnavailable, Reason: "HubNameSilent", Field: AnnotationField(annotation),
		Message: fmt.Sprintf("which user the hub's name %q is cannot be found out at the moment: try again, and if it stays so ask "+
			"the "+
			"admin to look at the webhook's log", shorten(hubName))}
}

// HubNameDiffers answers a Pod that was made for another user than the hub's name is now.
func HubNameDiffers(annotation string) Denial {
	return Denial{Code: http.StatusServiceUnavailable, Reason: "HubNameDiffers", Field: AnnotationField(annotation),
		Message: "which user the hub's name is has changed between two looks at this pod: try again, and if it stays so ask the " +
			"admin " +
			"which other webhook writes this annotation"}
}

// The identity.

// IdentityDenied answers an identity under the floor.
func IdentityDenied(name string, why error) Denial {
	return forbidden("IdentityDenied", "", "the user %s cannot run a notebook: %v", name, why)
}

// TooManyGroups answers a person in more groups than a pod may have. In how many is not said to who may not be that person.
func TooManyGroups(name string, most int) Denial {
	return forbidden("TooManyGroups", "", "%s is in more supplementary groups than the %d that a pod may have here, and NFS would "+
		"leave out the rest without a word: ask the admin to set identity.tooManyGroups to Cut, which gives the %d with the lowest "+
		"numbers, or, where the share uses Kerberos or its server looks groups up by itself (manage-gids), a higher "+
		"identity.maxGroups", name, most, most)
}

// IdentityUnknown denies a user whose identity must be known at admission, and is not.
func IdentityUnknown(name string) Denial {
	return forbidden("IdentityUnknown", "", "no source of identities knows the user %s: ask the admin whether %s has an account "+
		"that is not disabled, and a home (jupyter-user-webhook homes makes missing homes)", name, name)
}

// IdentitySilent answers where the source of identities cannot tell, now.
func IdentitySilent(name string) Denial {
	return Denial{Code: http.StatusServiceUnavailable, Reason: "IdentitySilent",
		Message: fmt.Sprintf("who %s is on the share cannot be found out at the moment: try again, and if it stays so ask the "+
			"admin to look at the webhook's log", name)}
}

// Account is what one source of identities knows of a user.
type Account struct {
	// Source is where that is known.
	Source Source
	// UID is negative if the source does not know the user.
	UID int64
}

// Source of identities, as a sentence names it.
type Source string

// The sources.
const (
	DirectoryService Source = "the directory service"
	Passwd           Source = "passwd"
	Share            Source = "the share"
)

// IdentityDisputed denies a user whom the sources do not agree about.
func IdentityDisputed(name string, accounts []Account) Denial {
	known := make([]string, len(accounts))
	for i, account := range accounts {
		switch {
		case account.UID >= 0 && account.Source == Share:
			known[i] = fmt.Sprintf("the home on the share belongs to UID %d", account.UID)
		case account.Source == Share:
			known[i] = "there is no home on the share"
		case account.UID >= 0:
			known[i] = fmt.Sprintf("%s has UID %d", account.Source, account.UID)
		default:
			known[i] = fmt.Sprintf("%s has no such user", account.Source)
		}
	}
	last := len(known) - 1
	return forbidden("IdentityDisputed", "", "who %s is, the sources do not agree about: %s, and %s; all of them must know the "+
		"user "+
		"and the same UID, so ask the admin %s", name, strings.Join(known[:last], ", "), known[last], disputeRemedy(accounts))
}

// disputeRemedy returns what to ask the admin for.
func disputeRemedy(accounts []Account) string {
	homeless, uids := false, map[int64]bool{}
	for _, account := range accounts {
		if account.Source == Share && account.UID < 0 {
			homeless = true
			continue
		}
		uids[account.UID] = true
	}
	if homeless && len(uids) == 1 {
		return "to make the home (jupyter-user-webhook homes makes missing homes)"
	}
	return "which is right"
}

// IdentityUnusable denies a user of whose account no identity can be made. Why begins behind the name.
func IdentityUnusable(name, why string) Denial {
	return forbidden("IdentityUnusable", "", "%s %s: ask the admin of the directory service to correct the account", name, why)
}

// HomeInUsers denies a home below a directory of the share that a user owns.
func HomeInUsers(name, dir string, owner int64) Denial {
	return forbidden("HomeMisplaced", "", "the home of %s is in %s, which belongs to UID %d on the share: who owns that directory "+
		"could put another one in the place of a home; ask the admin for chown root on it", name, dir, owner)
}

// HomeFieldUnusable denies a home that the directory service has where no home can be. Why begins behind the field. The field
// itself is not told: whoever asks need not have access to that user.
func HomeFieldUnusable(name, why string) Denial {
	return forbidden("HomeMisplaced", "", "the home field of %s in the directory service %s: ask the admin of the directory "+
		"service to correct it", name, why)
}

// HomeInNobodys denies a home below a directory whose owner the share cannot tell. why names that owner.
func HomeInNobodys(name, dir, why string) Denial {
	return forbidden("HomeMisplaced", "", "the share does not tell who owns %[2]s, in which the home of %[1]s is: %[3]s; ask the "+
		"admin to look at the ID mapping of NFS on the nodes and on the server", name, dir, why)
}

// HomeBehindLink denies a home below a symbolic link of the share.
func HomeBehindLink(name, link string) Denial {
	return forbidden("HomeMisplaced", "", "the home of %s is behind %s, which is a symbolic link on the share: ask the admin to "+
		"put "+
		"the directory itself there, or to write where it is in share.home", name, link)
}

// RestrictedNeedsIdentity answers the way at start in a namespace that enforces restricted.
func RestrictedNeedsIdentity(namespace, name string) Denial {
	return forbidden("RestrictedNeedsIdentity", "", "namespace %s enforces the Pod Security Standard restricted, and a "+
		"notebook whose UID is found at start begins as root for an instant: let the webhook know the UID and GID of %s at "+
		"admission, or use a namespace that enforces baseline", namespace, name)
}

// GroupForeign answers a supplementary group that is not the person's.
func GroupForeign(field string, gid int64, name string) Denial {
	return forbidden("GroupForeign", field, "%d is not known to be a group of %s: remove it, the webhook adds the groups that "+
		"are", gid, name)
}

// ImageGroupForeign denies a group of the image's that the configuration allows, and not to this Pod.
func ImageGroupForeign(field string, gid int64, why string) Denial {
	return forbidden("GroupForeign", field, "%d is a group of the image (identity.imageGroups), and %s: remove it", gid, why)
}

// NotBesideTheShare is why a Pod that sees more of the share than the home has no group of the image.
const NotBesideTheShare = "notebooks here see more of the share than the home, where files of that number are somebody else's"

// NoRoomForAGroup is why a user with as many groups as a Pod may have gets none of the image.
func NoRoomForAGroup(name string, most int) string {
	return fmt.Sprintf("%s has the %d groups that a pod may have already, of which NFS would leave one out without a word",
		name, most)
}

// The pod.

// AnnotationInvalid answers a value that an annotation of ours cannot have.
func AnnotationInvalid(annotation, value string, allowed ...string) Denial {
	return unprocessable("AnnotationInvalid", AnnotationField(annotation), "%q is not one of its values: %s", shorten(value),
		strings.Join(allowed, ", "))
}

// InjectInvalid denies a Pod that tries to opt out in a word that does not.
func InjectInvalid(annotation, value, optOut string) Denial {
	return unprocessable("AnnotationInvalid", AnnotationField(annotation), "%q is not %q, the one value that leaves a Pod as it "+
		"is: write that, or remove the annotation and get the user's home", shorten(value), optOut)
}

// NoSuchContainer answers an annotation that names a container which is not there.
func NoSuchContainer(annotation, value string, containers []string) Denial {
	return unprocessable("NoSuchContainer", AnnotationField(annotation), "there is no container named %q for the notebook: "+
		"the pod has %s", shorten(value), list(containers))
}

// NoContainer answers a pod without containers.
func NoContainer() Denial {
	return unprocessable("NoContainer", "spec.containers", "the pod has no container that the notebook could run in")
}

// HostProcess denies a Pod of Windows that does not say so. With an init container that is none, the API server would take it for
// invalid.
func HostProcess(field string) Denial {
	return unprocessable("NotLinux", field, "a host process is one of Windows, and a notebook here runs on Linux: remove "+
		"hostProcess, or the label")
}

// NotLinux answers a pod for another operating system.
func NotLinux(name string) Denial {
	return unprocessable("NotLinux", "spec.os.name", "a notebook here runs on Linux, not on %s: UIDs and GIDs mean nothing "+
		"there", Printable(name))
}

// UserNamespace answers a pod with a user namespace of its own, where the share cannot be mounted into one.
func UserNamespace(field string) Denial {
	return unprocessable("UserNamespace", field, "a pod with a user namespace of its own can mount the share only where its file "+
		"system knows ID-mapped mounts, and NFS does not: remove hostUsers: false, or ask the admin whether this share does "+
		"(share.allowUserNamespaces)")
}

// VolumeTaken answers a volume that has one of our names and is something else.
func VolumeTaken(field, name, what string) Denial {
	return forbidden("VolumeTaken", field, "the volume name %s belongs to %s, and this is another one, or one with other "+
		"settings: rename or remove it", name, what)
}

// ShareAgain answers the share's claim under another volume name.
func ShareAgain(field, claim, volume string) Denial {
	return forbidden("ShareAgain", field, "the claim %s is the share, which comes into a pod as the volume %s alone: remove "+
		"this volume and its mounts, the webhook adds the user's home", claim, volume)
}

// ShareByHub denies the share's claim in a server of a hub, which its user cannot change. The init containers mount it too.
func ShareByHub(field, claim string, initContainers []string) Denial {
	without := ""
	if len(initContainers) > 0 {
		without = " and leave out the init container " + list(initContainers) + ", which mounts it too"
	}
	return forbidden("ShareAgain", field, "the claim %s is the share, and the hub mounts it by itself: ask the admin of the hub "+
		"to set singleuser.storage.type to none%s. The webhook adds the user's home, and the directories of share.directories",
		claim, without)
}

// ClaimAgain denies a further claim under another volume name.
func ClaimAgain(field, claim string) Denial {
	return forbidden("ClaimAgain", field, "the claim %s has directories that every notebook sees, and comes into a Pod as the "+
		"volume %s alone: remove this volume and its mounts, the webhook adds them", claim, claim)
}

// ClaimClosed denies a further claim in a Pod whose user is found at start.
func ClaimClosed(field, claim string) Denial {
	return forbidden("ClaimClosed", field, "the claim %s can be in a notebook only if the UID and GID of the user are known at "+
		"admission, because a container that starts as root would reach every file on it: remove this volume and its mounts", claim)
}

// MountForeign answers a mount of the share or of the scratch volume that is not the webhook's own.
func MountForeign(field, volume, at string) Denial {
	return forbidden("MountForeign", field, "the volume %s is mounted at %s, which is none of the webhook's mounts of it: "+
		"remove this one, the webhook adds the home and the directories that the admin lists in share.directories", volume,
		Printable(at))
}

// MountElsewhere denies a mount of the share or of the scratch volume in another container than the notebook container.
func MountElsewhere(field, volume, at, notebook string) Denial {
	return forbidden("MountForeign", field, "the volume %s is mounted at %s, and only the notebook container %s has the home: "+
		"remove this mount, and run what needs the home in that container, or in a Pod of its own with the label",
		volume, Printable(at), notebook)
}

// DoneByTheWebhook denies an init container that finds the owner of the home by itself, as people wrote it before the webhook.
// It says all that belongs to it: without the init container, the command that reads its file fails.
func DoneByTheWebhook(field, initContainer, notebook, share, scratch string) Denial {
	return forbidden("MountForeign", field, "the init container %s finds the owner of the home, which the webhook does: "+
		"remove this init container, and from the container %s its command and args and its mounts of %s and %s; the volumes "+
		"may stay",
		initContainer, notebook, share, scratch)
}

// MountTaken answers a mount of the pod's own at a path of ours.
func MountTaken(field, at, ours string) Denial {
	return forbidden("MountTaken", field, "%s is where the webhook mounts %s: put this elsewhere", Printable(at), ours)
}

// MountNested answers a mount of the pod's own that a symbolic link could lead over what the container starts as root.
func MountNested(field, at, other string) Denial {
	return forbidden("MountNested", field, "%s and %s lie one inside of the other, so that a symbolic link could lead a mount "+
		"over the program that this container starts as root: mount this elsewhere, outside of every other mount", Printable(at),
		Printable(other))
}

// MountInShare denies a path that the container runtime makes as root, where a symbolic link could lead to another user's home.
func MountInShare(field, at, other string) Denial {
	return forbidden("MountNested", field, "%s and %s lie one inside of the other, and notebooks here see more of the share than "+
		"the home: what is missing at that path is made as root, also where the user may not write or a symbolic link leads to "+
		"another user's home; put this outside of every mount", Printable(at), Printable(other))
}

// EnvForeign denies a variable that the kubelet reads out of a volume of ours.
func EnvForeign(field, volume string) Denial {
	return forbidden("EnvForeign", field, "a variable cannot be read out of the volume %s, which is the webhook's: remove this one",
		volume)
}

// SidecarForeign denies a container that could be somebody else beside a notebook that sees more of the share than the home.
func SidecarForeign(field string, uid, gid int64) Denial {
	return forbidden("SidecarForeign", field, "notebooks here see more of the share than the home, and a container beside one can "+
		"be handed an open directory of it: this container needs runAsUser: %d, runAsGroup: %d and allowPrivilegeEscalation: false, "+
		"and neither privileged nor added capabilities; or leave it out. A service mesh's sidecar has a UID of its own: such Pods "+
		"need a mesh without sidecars", uid, gid)
}

// DeviceForeign answers a block device made of a volume of ours.
func DeviceForeign(field, volume string) Denial {
	return forbidden("DeviceForeign", field, "the volume %s cannot be a block device: remove this one", volume)
}

// DeviceNested denies a block device inside of a mount of ours.
func DeviceNested(field, at, ours string) Denial {
	return forbidden("DeviceNested", field, "%s is inside of what is mounted, %s: the container runtime would make the device "+
		"there as root, and leave it there; put it elsewhere, such as below /dev", Printable(at), ours)
}

// ContainerTaken answers a container that has the init container's name elsewhere in the pod.
func ContainerTaken(field, name string) Denial {
	return forbidden("ContainerTaken", field, "the name %s belongs to the webhook's init container: rename this container",
		name)
}

// Drifted answers an enforced field that is not what the webhook made it.
func Drifted(field string) Denial {
	return forbidden("Drifted", field, "this is not what the webhook put there: leave it to the webhook, or ask the admin "+
		"which other webhook changes it")
}

// NotInjected answers a pod that has something of a notebook's and not what the webhook gives it.
func NotInjected(lacks string) Denial {
	return forbidden("NotInjected", "", "the pod has something of a notebook and lacks %s: label it jupyter-user and leave the "+
		"rest to the webhook", lacks)
}

// Unclaimed denies a Pod that is no user's notebook and has something that only a notebook can have.
func Unclaimed(mark, why string) Denial {
	return forbidden("NotInjected", "", "the pod has %s, and is no user's notebook: %s; remove the one, or label the pod "+
		"jupyter-user and leave the rest to the webhook", Printable(mark), why)
}

// IdentityDiffers answers an identity on a pod that is not the one which its user has now.
func IdentityDiffers(annotation, name string) Denial {
	return Denial{Code: http.StatusServiceUnavailable, Reason: "IdentityDiffers", Field: AnnotationField(annotation),
		Message: fmt.Sprintf("what is known of %s has changed between two looks at this pod: try again, and if it stays so ask the "+
			"admin which other webhook writes this annotation", name)}
}

// GenerationUnknown answers a pod that was made from a configuration which nobody who could be asked has.
func GenerationUnknown(annotation, generation string) Denial {
	return Denial{Code: http.StatusServiceUnavailable, Reason: "GenerationUnknown", Field: AnnotationField(annotation),
		Message: fmt.Sprintf("no replica of the webhook that could be asked has made a pod by configuration %s: one is probably "+
			"being replaced by another, so try again; if it stays so ask the admin to look at the webhook's log",
			Printable(generation))}
}

// AnnotationField is how Kubernetes writes the place of an annotation.
func AnnotationField(key string) string {
	return fmt.Sprintf("metadata.annotations[%s]", key)
}

// shorten keeps what a stranger wrote from filling the answer; quoting is the caller's.
func shorten(s string) string { return Cut(s, 80) }

// Cut is a text of at most so many bytes, with a … where there was more.
func Cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// Printable is for what a stranger wrote and a sentence does not quote: as it is where that is plain, quoted where it could
// break the line, hide behind a look-alike or steer a terminal.
func Printable(s string) string {
	if s == "" || strings.ContainsFunc(s, special) {
		return strconv.QuoteToASCII(shorten(s))
	}
	return shorten(s)
}

// PrintableText is for a whole text with a stranger's words in it: as it is where that is plain ASCII, and else with escapes
// for all that is not.
func PrintableText(text string) string {
	if !strings.ContainsFunc(text, special) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if !special(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// Wrap breaks a text between words into lines of at most so many bytes, and at least one line. A word that is longer has a line
// of its own.
func Wrap(text string, most int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > most:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// special is what could break a line, hide behind a look-alike or steer a terminal.
func special(r rune) bool { return r < ' ' || r > '~' }

// oneLine is an error's text where the error speaks of what a stranger wrote.
func oneLine(err error) string {
	return Cut(strings.ReplaceAll(err.Error(), "\n", "; "), 300)
}

func list(names []string) string {
	const most = 8
	told := make([]string, 0, most)
	for _, name := range names[:min(len(names), most)] {
		told = append(told, Printable(name))
	}
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(told, ", "), more)
	}
	return strings.Join(told, ", ")
}
