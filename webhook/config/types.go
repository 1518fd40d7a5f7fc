// Package config has the types of the webhook's configuration, a YAML file of a versioned kind. A file is decoded strictly
// over the defaults and validated; errors have the path and the line of the field. A Config must not be changed after Parse.
//
// Settings of the process, such as addresses and the log level, are flags, not fields of this file.
package config

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// apiVersion and kind are the values of the fields of the same names in a configuration file.
const (
	apiVersion = "jupyter-user.io/v1alpha1"
	kind       = "WebhookConfiguration"
)

// Config is the whole configuration. Its zero value is not usable: Default and Parse make usable ones.
type Config struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	Mode Mode `json:"mode"`

	User     User     `json:"user"`
	Share    Share    `json:"share"`
	Scratch  Scratch  `json:"scratch"`
	Identity Identity `json:"identity"`
	Init     Init     `json:"init"`
	Notebook Notebook `json:"notebook"`
}

// Mode decides whether decisions about Pods are enforced.
type Mode string

const (
	// ModeEnforce changes and denies Pods.
	ModeEnforce Mode = "Enforce"
	// ModeWarn decides, logs, counts and warns, but changes and denies no Pod: for the first days in a cluster that has
	// notebooks already. It protects nothing.
	ModeWarn Mode = "Warn"
)

// User has the rules for users' names.
type User struct {
	// Domains are mail or Kerberos domains that are removed from a name: with corp.example, alice@corp.example is alice. A
	// name with any other domain is denied, so that two users never share one home. With several domains, alice@a.example
	// and alice@b.example are the same user; DomainsAreSynonyms must be true to confirm this.
	Domains            []string `json:"domains"`
	DomainsAreSynonyms bool     `json:"domainsAreSynonyms"`
	// AllowUpperCase allows A to Z in names. It is only safe if the file names of the share are case-sensitive.
	AllowUpperCase bool `json:"allowUpperCase"`
	// AllowLeadingDigit allows names that begin with a digit, such as student numbers.
	AllowLeadingDigit bool `json:"allowLeadingDigit"`
	// MaxLength is the maximum length of a name in bytes. It is at most 32, the limit of useradd.
	MaxLength int `json:"maxLength"`
	// Reserved names are denied in addition to the built-in ones (root, nobody, jovyan, users and others). The comparison
	// ignores case, because some shares ignore case.
	Reserved []string `json:"reserved"`
	// HubComponents are the values that KubeSpawner gives to the label "component" or "app.kubernetes.io/component" of users'
	// servers (KubeSpawner.component_label). A hub's Pod with a different value is only treated as a
	// notebook if it has the label jupyter-user.
	HubComponents []string `json:"hubComponents"`
	// MapFile is the path of a file that maps hub names, the names of users in JupyterHub, to users (package hubnames). It
	// is used for the annotation hub.jupyter.org/username, and not for the label jupyter-user.
	MapFile string `json:"mapFile"`
	// Unmapped is the treatment of a hub name that is not in MapFile, or that no account has in the attribute
	// identity.ldap.users.hubName.
	Unmapped Unmapped `json:"unmapped"`
}

// Unmapped is the treatment of a hub name that is mapped to no user.
type Unmapped string

const (
	// UnmappedDeny denies the Pod.
	UnmappedDeny Unmapped = "Deny"
	// UnmappedName uses the hub name as the user's name, as without a map. It is only safe if no hub name can be another
	// user's name.
	UnmappedName Unmapped = "Name"
)

// Share is the shared volume with the homes.
type Share struct {
	// ClaimName is the name of the PersistentVolumeClaim, which every namespace with notebooks must have.
	ClaimName string `json:"claimName"`
	// VolumeName is the name of the share's volume in Pods.
	VolumeName string `json:"volumeName"`
	// MountPath is the share's path in the containers, absolute. Homes are mounted below it, at their path on the share.
	MountPath string `json:"mountPath"`
	// Home is the path of a user's home, relative to the root of the share.
	Home HomePattern `json:"home"`
	// HomePrefix is empty if Home determines the homes. Otherwise the home field of the user's account (LDAP or passwd)
	// determines the home: the part of the field below HomePrefix is the path on the share, and discovery is at admission only.
	HomePrefix string `json:"homePrefix"`
	// Directories lists the directories that notebooks see besides the home, on the share or on further claims. They are
	// mounted only with discovery at admission, because only file permissions protect their content, and file permissions
	// do not stop a container that starts as root.
	Directories []Directory `json:"directories"`
	// ExposeEveryHome decides whether the whole share is mounted, and not only the home.
	ExposeEveryHome Exposure `json:"exposeEveryHome"`
	// FSGroup is the treatment of a Pod's fsGroup.
	FSGroup FSGroup `json:"fsGroup"`
	// AllowUserNamespaces admits Pods with hostUsers: false. The share's file system must support ID-mapped mounts; otherwise
	// such a Pod does not start.
	AllowUserNamespaces bool `json:"allowUserNamespaces"`
}

// FSGroup is the treatment of a Pod's fsGroup.
type FSGroup string

const (
	// FSGroupRemove removes the fsGroup: a driver that supports it would change the group of every file of the share.
	FSGroupRemove FSGroup = "Remove"
	// FSGroupKeep keeps an fsGroup that is the user's GID or one of the user's groups, and denies any other. With discovery
	// at start it removes the fsGroup. It is only safe if the drivers of the share and of further claims ignore fsGroup.
	FSGroupKeep FSGroup = "Keep"
)

// Directory is one directory and its path in notebooks.
type Directory struct {
	// ClaimName is empty for a directory of the share. Otherwise it is the name of the further claim: the
	// PersistentVolumeClaim that has the directory. Every namespace with notebooks must have the further claim. The volume
	// in Pods has the same name as the further claim.
	ClaimName string `json:"claimName"`
	// SubPath is the path on the share or the further claim, relative, without "..". It is empty for the whole of a further
	// claim. If it ends with {user}, each user has their own directory.
	SubPath string `json:"subPath"`
	// MountPath is the path in the notebook container, absolute. It can end with {user} if SubPath does.
	MountPath string `json:"mountPath"`
	Access    Access `json:"access"`
}

// Access decides whether a directory is mounted read-only.
type Access string

const (
	// AccessReadOnly mounts a directory read-only, whatever its permissions.
	AccessReadOnly Access = "ReadOnly"
	// AccessReadWrite lets file permissions decide what the user may write.
	AccessReadWrite Access = "ReadWrite"
)

// Exposure decides which notebooks see the whole share.
type Exposure string

// The values of Exposure, the safest first.
const (
	// ExposeNever mounts the whole share in no notebook.
	ExposeNever Exposure = "Never"
	// ExposeToTheUser mounts the whole share with discovery at admission, where every container runs as the user: only file
	// permissions protect users' files from each other.
	ExposeToTheUser Exposure = "ToTheUser"
	// ExposeEvenToRoot mounts the whole share also with discovery at start, where the notebook container starts as root: anyone
	// with kubectl exec into that Pod can become any user on the share. Each admission with discovery at start returns a
	// warning.
	ExposeEvenToRoot Exposure = "EvenToRoot"
)

// Scratch is the emptyDir that passes the init container's files to the notebook container.
type Scratch struct {
	// VolumeName is the name of the emptyDir in Pods.
	VolumeName string `json:"volumeName"`
	// MountPath is the absolute path in the init container and the notebook container. Only the init container can write there.
	MountPath string `json:"mountPath"`
	// SizeLimit is the size limit of the emptyDir, which holds the program jupyter-user-init (under 4 MiB) and a few small
	// files.
	SizeLimit resource.Quantity `json:"sizeLimit"`
}

// Discovery decides when the identity of a Pod's user is found.
type Discovery string

const (
	// DiscoveryAuto is AtAdmission if a source of identities is configured, otherwise AtStart.
	DiscoveryAuto Discovery = "Auto"
	// DiscoveryAtAdmission writes UID and GID into the Pod, so that the notebook container is never root. A Pod whose user is not
	// known at admission is denied.
	DiscoveryAtAdmission Discovery = "AtAdmission"
	// DiscoveryAtStart lets the init container find the owner of the home; the notebook container starts as root and becomes that
	// user.
	DiscoveryAtStart Discovery = "AtStart"
)

// TooManyGroups is the treatment of a user with more supplementary groups than Identity.MaxGroups.
type TooManyGroups string

const (
	// TooManyGroupsDeny denies the Pod: with a group missing, the user would not know why files cannot be accessed.
	TooManyGroupsDeny TooManyGroups = "Deny"
	// TooManyGroupsCut keeps the groups with the lowest numbers. Each admission returns a warning.
	TooManyGroupsCut TooManyGroups = "Cut"
)

// Identity has the settings for finding the identity of a user, and for the UIDs and GIDs that are denied.
type Identity struct {
	Discovery Discovery `json:"discovery"`
	// MinUID and MinGID are the floor: the lowest numbers that a user can have.
	MinUID int64 `json:"minUID"`
	MinGID int64 `json:"minGID"`
	// DeniedGIDs are denied as primary and supplementary groups: groups whose members can access more than their own files.
	DeniedGIDs []int64 `json:"deniedGIDs"`
	// ImageGroups are GIDs of groups of images, such as 100, the group "users" of docker-stacks. A Pod can ask for them if
	// the identity is known at admission, and if the notebook container sees neither the whole share nor share.directories.
	// They must be below MinGID, so that none is the group of a user.
	ImageGroups []int64 `json:"imageGroups"`
	// MaxGroups is the maximum number of supplementary groups of a Pod. An NFS client with AUTH_SYS sends 16 groups and
	// silently omits the rest. Container runtimes also put the primary group into the list of supplementary groups, where it is
	// one of the 16. So the default is 15. A server with the option --manage-gids of rpc.mountd ignores the groups that the
	// client sends, and looks up the groups of the UID: then NFS has no limit for users whom the server knows.
	MaxGroups int `json:"maxGroups"`
	// TooManyGroups is the treatment of a user with more than MaxGroups groups.
	TooManyGroups TooManyGroups `json:"tooManyGroups"`
	// StrictSupplementalGroups keeps the image's /etc/group from adding groups (supplementalGroupsPolicy: Strict). containerd 2.0
	// and CRI-O 1.31 support this; a node with an older container runtime rejects the Pod.
	StrictSupplementalGroups bool `json:"strictSupplementalGroups"`
	// LDAP is a directory service as a source of identities.
	LDAP LDAP `json:"ldap"`
}

// Init has the settings of the init container, which finds or checks the owner of the home.
type Init struct {
	// Image is the image of this webhook, which also has the program jupyter-user-init; best with a digest.
	Image string `json:"image"`
	// AcceptedImages are also allowed as the init container's image, such as the image of the previous release during a rolling
	// update.
	AcceptedImages []string `json:"acceptedImages"`
	// ImagePullSecrets are added to the Pod, by name. The secrets must exist in the Pod's namespace.
	ImagePullSecrets []string  `json:"imagePullSecrets"`
	Resources        Resources `json:"resources"`
}

// Resources are requests and limits, as in a container.
type Resources struct {
	Requests corev1.ResourceList `json:"requests"`
	Limits   corev1.ResourceList `json:"limits"`
}

// Notebook has the settings of the notebook container.
type Notebook struct {
	// ContainerNames are possible names of the notebook container. If several of them occur in a Pod, the first in this
	// list is used. Package inject, notebook.go, has the other rules.
	ContainerNames []string `json:"containerNames"`
	// Homes is the absolute path below which the home is mounted a second time, as <Homes>/<name>.
	Homes string `json:"homes"`
	// Port is the port on which Jupyter listens, unless the Pod sets another.
	Port int32 `json:"port"`
	// Env are default variables, for Pods that do not set them.
	Env []EnvVar `json:"env"`
	// JupyterConfig are settings of Jupyter, by class and trait as in Jupyter's own files. They take precedence over settings in
	// users' homes. Secrets, and settings for where Jupyter listens, are not allowed.
	JupyterConfig map[string]map[string]any `json:"jupyterConfig"`
	// Umask is the umask of Jupyter and of the programs that Jupyter starts, as four octal digits; empty for the image's own.
	Umask string `json:"umask"`
	// Resources are default requests and limits, unless a hub created the Pod.
	Resources Resources `json:"resources"`
	Probes    Probes    `json:"probes"`
	// AccountFiles mounts a passwd and a group file with the user over /etc/passwd and /etc/group.
	AccountFiles bool `json:"accountFiles"`
	// Starts has the ENTRYPOINT and CMD of images. With discovery at start and a container without a command, the webhook
	// replaces the image's entrypoint. Then an image needs an element, unless it is of a known family, such as docker-stacks,
	// or the arguments start a hub's server. The first element with a matching Image is used.
	Starts []Start `json:"starts"`
}

// EnvVar is an environment variable, as in a container.
type EnvVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Probes has the settings of the probes that the notebook container gets.
type Probes struct {
	Enabled   bool  `json:"enabled"`
	Startup   Probe `json:"startup"`
	Readiness Probe `json:"readiness"`
	Liveness  Probe `json:"liveness"`
}

// Probe has the settings of one probe. All fields but Enabled are those of a container's probe. In the configuration file,
// null in place of a Probe turns the probe off.
type Probe struct {
	Enabled          bool  `json:"enabled"`
	PeriodSeconds    int32 `json:"periodSeconds"`
	TimeoutSeconds   int32 `json:"timeoutSeconds"`
	FailureThreshold int32 `json:"failureThreshold"`
}

// Start is the start of an image: its ENTRYPOINT and CMD.
type Start struct {
	// Image is the image as written in Pods; a * matches any number of any characters.
	Image string `json:"image"`
	// Entrypoint runs if the notebook container has no command. It gets the container's args, or Command if there are none.
	Entrypoint []string `json:"entrypoint"`
	Command    []string `json:"command"`
}
