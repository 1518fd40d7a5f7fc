// Package config is the webhook's configuration as an API: one YAML file of a versioned kind, decoded strictly, given
// its defaults, validated with the path and the line of everything that is wrong, and immutable from then on.
//
// What belongs to the process rather than to the pods it admits (addresses, files, log level) is a flag, not a field
// here.
package config

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// APIVersion and Kind are what the first two lines of a configuration file say.
const (
	APIVersion = "jupyter-user.io/v1alpha1"
	Kind       = "WebhookConfiguration"
)

// Config is the whole configuration. Its zero value is not usable: Default and Parse make usable ones.
type Config struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	// Mode says whether decisions are carried out.
	Mode Mode `json:"mode"`

	User     User     `json:"user"`
	Share    Share    `json:"share"`
	Scratch  Scratch  `json:"scratch"`
	Identity Identity `json:"identity"`
	Init     Init     `json:"init"`
	Notebook Notebook `json:"notebook"`
}

// Mode is what becomes of a decision.
type Mode string

// The modes.
const (
	// ModeEnforce changes and refuses pods.
	ModeEnforce Mode = "Enforce"
	// ModeWarn decides, logs, counts and warns, and leaves every pod as it is: for the first days in a cluster that has
	// notebooks already. Nothing of what the webhook promises holds in it.
	ModeWarn Mode = "Warn"
)

// User says which names are users.
type User struct {
	// Domains are mail or Kerberos domains that are taken off a name: with corp.example, alice@corp.example is alice. A name with
	// any other domain is refused, so that two people never meet in one home. Several must be synonyms of one name space:
	// alice@a.example and alice@b.example are one user then, which DomainsAreSynonyms confirms.
	Domains            []string `json:"domains"`
	DomainsAreSynonyms bool     `json:"domainsAreSynonyms"`
	// AllowUpperCase admits A to Z in names. Only right where the share tells Alice and alice apart.
	AllowUpperCase bool `json:"allowUpperCase"`
	// AllowLeadingDigit admits names that begin with a digit, such as student numbers.
	AllowLeadingDigit bool `json:"allowLeadingDigit"`
	// MaxLength of a name in bytes, at most 32, which is the most that useradd takes.
	MaxLength int `json:"maxLength"`
	// Reserved names are refused in addition to the ones that always are (root, nobody, jovyan, users and the like).
	// They are compared without regard to case, because a share may do so too.
	Reserved []string `json:"reserved"`
	// HubComponents are the values of KubeSpawner's label component, or app.kubernetes.io/component, that users' servers
	// have (KubeSpawner.component_label). A Pod of a hub's with another one is no notebook.
	HubComponents []string `json:"hubComponents"`
	// MapFile says which user a hub's name is, one pair a line. It counts for the annotation of a hub's Pod alone.
	MapFile string `json:"mapFile"`
	// Unmapped is what becomes of a hub's name that the map, or identity.ldap.users.hubName, does not have.
	Unmapped Unmapped `json:"unmapped"`
}

// Unmapped is what becomes of a hub's name that is not in the map.
type Unmapped string

// What there is to do about it.
const (
	// UnmappedDeny denies the Pod.
	UnmappedDeny Unmapped = "Deny"
	// UnmappedName takes the hub's name for the user's, as without a map. Only right where no hub's name can be another user's.
	UnmappedName Unmapped = "Name"
)

// Share is the volume that everybody's data is on.
type Share struct {
	// ClaimName of the PersistentVolumeClaim, which every namespace with notebooks has.
	ClaimName string `json:"claimName"`
	// VolumeName under which pods hold it.
	VolumeName string `json:"volumeName"`
	// MountPath in the containers, absolute. Homes are mounted below it, where they are on the share.
	MountPath string `json:"mountPath"`
	// Home is where the home of a user is, relative to the root of the share.
	Home HomePattern `json:"home"`
	// HomePrefix has homes be where the home field of the directory service says, in place of Home: what stands below this prefix
	// in the field is the path on the share. Discovery is at admission only then.
	HomePrefix string `json:"homePrefix"`
	// Directories lists further directories that every notebook sees, of the share or of claims of their own. They are mounted
	// only with discovery at admission: file permissions protect what is in them, and in a container that starts as root they
	// would not.
	Directories []Directory `json:"directories"`
	// ExposeEveryHome mounts the whole share in place of the one home.
	ExposeEveryHome Exposure `json:"exposeEveryHome"`
	// FSGroup is what becomes of a Pod's fsGroup.
	FSGroup FSGroup `json:"fsGroup"`
	// AllowUserNamespaces admits pods with hostUsers: false. Only right where the share's file system takes ID-mapped
	// mounts: on any other, such a pod never starts.
	AllowUserNamespaces bool `json:"allowUserNamespaces"`
}

// FSGroup is what becomes of a Pod's fsGroup.
type FSGroup string

// What there is to do about it.
const (
	// FSGroupRemove takes it off: a driver that heeds it would re-group every file of the share.
	FSGroupRemove FSGroup = "Remove"
	// FSGroupKeep lets a Pod have its user's GID or one of the user's groups as fsGroup, with discovery at admission, and
	// denies any other. Only right where the drivers of the share and of its directories ignore an fsGroup.
	FSGroupKeep FSGroup = "Keep"
)

// Directory is one directory and where notebooks see it.
type Directory struct {
	// ClaimName is the further claim that the directory is on; empty for the share's. Every namespace with notebooks has it, and
	// it is the name of the volume in Pods too.
	ClaimName string `json:"claimName"`
	// SubPath on the share or the further claim, relative, without "..". It is empty for the whole of a further claim.
	SubPath string `json:"subPath"`
	// MountPath in the notebook container, absolute.
	MountPath string `json:"mountPath"`
	// Access is how notebooks see the directory.
	Access Access `json:"access"`
}

// Access to a directory.
type Access string

// The accesses.
const (
	// AccessReadOnly mounts a directory read-only, whatever its permissions.
	AccessReadOnly Access = "ReadOnly"
	// AccessReadWrite lets the permissions of the files say what the user may write.
	AccessReadWrite Access = "ReadWrite"
)

// Exposure says to whom the whole share is shown.
type Exposure string

// The exposures, from the safest on.
const (
	// ExposeNever mounts nothing of the share but the person's home.
	ExposeNever Exposure = "Never"
	// ExposeToTheUser mounts the whole share where no process is ever root: file permissions alone stand between one
	// person and another's files.
	ExposeToTheUser Exposure = "ToTheUser"
	// ExposeEvenToRoot mounts the whole share also where the container starts as root: whoever may kubectl exec into
	// that pod can become anybody on the share. It is what the hand-written example did. Each admission warns.
	ExposeEvenToRoot Exposure = "EvenToRoot"
)

// Scratch is the emptyDir that carries what the init container found to the notebook container.
type Scratch struct {
	// VolumeName under which pods hold it.
	VolumeName string `json:"volumeName"`
	// MountPath in both containers, absolute. Only the init container can write there.
	MountPath string `json:"mountPath"`
	// SizeLimit of the emptyDir: the in-pod binary (under 4 MiB) and a few small files.
	SizeLimit resource.Quantity `json:"sizeLimit"`
}

// Discovery is how the identity is found.
type Discovery string

// The ways to the identity.
const (
	// DiscoveryAuto takes AtAdmission where a source of identities is configured, else AtStart.
	DiscoveryAuto Discovery = "Auto"
	// DiscoveryAtAdmission writes numbers into the pod, so that no process of it is ever root. A pod whose user is not known
	// at admission is refused.
	DiscoveryAtAdmission Discovery = "AtAdmission"
	// DiscoveryAtStart lets the pod find the owner of the home when it starts, and become it.
	DiscoveryAtStart Discovery = "AtStart"
)

// TooManyGroups is what becomes of a person in more supplementary groups than a pod may have.
type TooManyGroups string

// What there is to do about them.
const (
	// TooManyGroupsDeny refuses the pod, so that nobody works for a day without a group and wonders.
	TooManyGroupsDeny TooManyGroups = "Deny"
	// TooManyGroupsCut gives the first of them in ascending order of their numbers. Each admission warns.
	TooManyGroupsCut TooManyGroups = "Cut"
)

// Identity says how the UID and the GIDs are found and which are refused.
type Identity struct {
	Discovery Discovery `json:"discovery"`
	// MinUID and MinGID are the lowest numbers that a person can have.
	MinUID int64 `json:"minUID"`
	MinGID int64 `json:"minGID"`
	// DeniedGIDs are refused wherever they turn up: groups whose members have more than their own files.
	DeniedGIDs []int64 `json:"deniedGIDs"`
	// ImageGroups are groups of images, by number, such as docker-stacks' users (100): a Pod may ask for them where the identity is
	// known at admission and its notebook sees nothing of the share but the home. They are under MinGID, so that none is a user's.
	ImageGroups []int64 `json:"imageGroups"`
	// MaxGroups is how many supplementary groups a person's pod has at most. NFS with AUTH_SYS sends 16, and container
	// runtimes count the primary group among them; the client leaves out the rest without a word. A server with manage-gids
	// ignores the groups that the client sends, and looks up those of the UID by itself: no limit, if the server knows the user.
	MaxGroups int `json:"maxGroups"`
	// TooManyGroups says what becomes of a person who has more.
	TooManyGroups TooManyGroups `json:"tooManyGroups"`
	// StrictSupplementalGroups keeps the image's /etc/group from adding groups (supplementalGroupsPolicy: Strict). A
	// node whose container runtime cannot do it refuses the pod: containerd 2.0 and CRI-O 1.32 can.
	StrictSupplementalGroups bool `json:"strictSupplementalGroups"`
	// LDAP is a directory service that says who users are.
	LDAP LDAP `json:"ldap"`
}

// Init is the container that finds the owner of the home, or checks it.
type Init struct {
	// Image of this webhook, which holds the in-pod binary too; best by digest.
	Image string `json:"image"`
	// AcceptedImages may stand there too: those of the release before, during a rolling update.
	AcceptedImages []string `json:"acceptedImages"`
	// ImagePullSecrets are added to the pod, by name. The secrets have to exist in the pod's namespace.
	ImagePullSecrets []string  `json:"imagePullSecrets"`
	Resources        Resources `json:"resources"`
}

// Resources are requests and limits, as in a container.
type Resources struct {
	Requests corev1.ResourceList `json:"requests"`
	Limits   corev1.ResourceList `json:"limits"`
}

// Notebook is what the notebook container gets.
type Notebook struct {
	// ContainerNames by which the notebook container is known, the first that is there. A pod that has none of them has
	// its notebook in the container that the annotation kubectl.kubernetes.io/default-container names, else in its first.
	ContainerNames []string `json:"containerNames"`
	// Homes is where the home is mounted a second time, as <Homes>/<name>; absolute.
	Homes string `json:"homes"`
	// Port that Jupyter listens on where the pod does not say otherwise.
	Port int32 `json:"port"`
	// Env are defaults: a variable that the pod sets is the pod's.
	Env []EnvVar `json:"env"`
	// JupyterConfig are settings of Jupyter, by class and trait as in Jupyter's own files. What users write in their homes does not
	// win over them; what says where Jupyter listens is not among them.
	JupyterConfig map[string]map[string]any `json:"jupyterConfig"`
	// Umask of Jupyter and what it starts, as four octal digits; empty for the image's own.
	Umask string `json:"umask"`
	// Resources for a notebook container that has none at all, and is not a hub's.
	Resources Resources `json:"resources"`
	Probes    Probes    `json:"probes"`
	// AccountFiles mounts a passwd and a group that know the person over /etc/passwd and /etc/group.
	AccountFiles bool `json:"accountFiles"`
	// Starts tells how images start that are none of the known families, for the way AtStart: there the image's own
	// entrypoint is replaced and cannot be seen. The first whose Image matches counts.
	Starts []Start `json:"starts"`
}

// EnvVar is a literal environment variable.
type EnvVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Probes of a notebook container in which Jupyter is what starts.
type Probes struct {
	Enabled   bool  `json:"enabled"`
	Startup   Probe `json:"startup"`
	Readiness Probe `json:"readiness"`
	Liveness  Probe `json:"liveness"`
}

// Probe is the timing of one probe; seconds and counts as in a container's. A file that has null in its place has it off.
type Probe struct {
	// Enabled is the switch of this probe alone.
	Enabled          bool  `json:"enabled"`
	PeriodSeconds    int32 `json:"periodSeconds"`
	TimeoutSeconds   int32 `json:"timeoutSeconds"`
	FailureThreshold int32 `json:"failureThreshold"`
}

// Start is how an image starts: what its ENTRYPOINT and CMD say.
type Start struct {
	// Image as pods write it; a * matches any characters, also none.
	Image string `json:"image"`
	// Entrypoint runs with the pod's args behind it, or with Command where the pod has none.
	Entrypoint []string `json:"entrypoint"`
	Command    []string `json:"command"`
}
