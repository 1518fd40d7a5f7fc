// Package inject plans what a notebook Pod must have, and compares the Pod with that plan:
//
//  1. pod.Read decodes the view of the Pod: the fields that the plan depends on.
//  2. Planner.Plan plans the pieces from the view, the Facts about the user, and the configuration.
//  3. Reconcile compares each piece with the view. It returns the JSON Patch operations, or the denials.
//
// The package is pure: the same Pod, facts and configuration give the same bytes. It does no I/O, reads no clock and writes
// no log, so the webhook, the command line and the tests all run the same code.
//
// A field is ours if the webhook enforces its value, and the Pod's if the webhook only sets a default. Likewise, our
// volumes, mounts, claims, init container and program are those of the webhook.
//
// Each injected piece has one file, whose first comment says what the piece adds, which fields are ours, and what happens
// if the Pod has set them. In the order of the pieces: annotations.go, share.go, scratch.go, pullsecrets.go, groups.go,
// homein.go, init.go, mounts.go, privileges.go, start.go, env.go, probes.go, port.go, resources.go. Some pieces have more
// files: home.go, accounts.go and devices.go belong to mounts.go; settings.go and confinement.go belong to init.go.
// sidecars.go and imageshome.go have rules for the containers and paths that are the Pod's own.
//
// To add a piece: write a file with its type, planX and reconcile. In plan.go, add the piece to the struct "pieces", to the
// methods inOrder and planning.pieces, and to the list above. Begin with a Pod in test/golden/testdata; at the end run
// "make golden" and "make render". Also add, if the piece has them:
//
//   - the fields that it reads: to webhook/pod/view.go
//   - the fields that it writes: to the table in webhook/doc.go, and to differentValues in webhook/ownership_test.go
//   - the fields that are ours: to replaceable in test/property/lossless_test.go, and to checkInjected in
//     test/property/whole_test.go
//   - a new type that it writes into the patch: to webhook/pod/written.go
//   - a mount of the share, or a field of the init container: to deploy/chart/templates/62-policy-net.yaml
//   - a field of a security context: to the table of security settings in deploy/docs/pods.md
//   - a new annotation: to annotations.go, to the list "annotations" of deploy/chart/templates/_policies.tpl, and to the table
//     of annotations in deploy/docs/pods.md
//
// To add an environment variable: a constant default needs no code, because notebook.env of the configuration can have it. A
// default that depends on the Pod belongs to planEnv in env.go. A variable that is ours belongs to identityVars, and changes
// the length of the arrays of identityVar. Add it also to:
//
//   - environment in cmd/jupyter-user-init/become.go, which sets the variable with discovery at start
//   - identityEnv in webhook/config/validate_notebook.go
//   - the comment of notebook.env in webhook/config/testdata/reference.yaml
//   - replaceable in test/property/lossless_test.go
//
// Add a default of planEnv, and a variable that is ours, to the table in webhook/doc.go, to differentValues in
// webhook/ownership_test.go, and to the Pod of test/bench/handlers/usual.go. Then run make golden.
package inject

import (
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Facts are what is known about a Pod besides its document.
type Facts struct {
	// Namespace is the request's namespace. The Pod's own field can be empty.
	Namespace string
	// Restricted reports whether the namespace enforces the Pod Security Standard restricted.
	Restricted bool
	// User is the user that the Pod names.
	User user.Name
	// Identity is the user's identity; nil if it is not known at admission.
	Identity *identity.Identity
	// SourcesQueried reports whether the webhook has asked sources of identities for the user. A user whom these sources do
	// not know is denied: discovery at start would accept a disabled account, because the account still has its home.
	SourcesQueried bool
}

// Plan is how one Pod must be injected: the decisions about the Pod, and the pieces that carry out these decisions.
type Plan struct {
	// Discovery is config.DiscoveryAtAdmission or config.DiscoveryAtStart.
	Discovery config.Discovery
	// Identity is the identity with which the Pod runs; nil with discovery at start.
	Identity *identity.Identity
	// DiscoveryReason is the reason why Discovery was chosen, as inject --explain shows it.
	DiscoveryReason string
	// Notebook is the name of the notebook container, and NotebookReason the reason why this container was chosen.
	Notebook, NotebookReason string
	// Home is the user's home, relative to the root of the share; empty if it is unknown.
	Home string

	pieces       pieces
	denials      []denial.Denial
	warnings     []string
	notebookPath pod.Pointer
}

type piece interface {
	reconcile(pod *pod.Pod, c *changes)
}

type pieces struct {
	// planned is false if a denial has ended the planning early.
	planned     bool
	annotations annotationsPiece
	share       sharePiece
	scratch     scratchPiece
	pullSecrets pullSecretsPiece
	groups      groupsPiece
	homeIn      homeInPiece
	init        initPiece
	mounts      mountsPiece
	privileges  privilegesPiece
	start       startPiece
	env         envPiece
	probes      probesPiece
	port        portPiece
	resources   resourcesPiece
}

// inOrder yields the pieces with their names, in the order in which they are reconciled. The piece "init container" can insert
// or move our init container, which changes the indices of the other init containers. So a piece that writes to those must
// come before. If the planning ended early, inOrder yields no piece.
func (p *pieces) inOrder(yield func(name string, p piece) bool) {
	if !p.planned {
		return
	}
	for _, named := range [...]struct {
		name string
		piece
	}{
		{"annotations", &p.annotations},
		{"share volume", &p.share},
		{"scratch volume", &p.scratch},
		{"pull secrets", &p.pullSecrets},
		{"groups", &p.groups},
		{"home in other containers", &p.homeIn},
		{"init container", &p.init},
		{"mounts", &p.mounts},
		{"privileges", &p.privileges},
		{"start", &p.start},
		{"environment", &p.env},
		{"probes", &p.probes},
		{"port", &p.port},
		{"resources", &p.resources},
	} {
		if !yield(named.name, named.piece) {
			return
		}
	}
}

// planning is the input from which the pieces of one Pod are planned. Nothing writes to it after Plan has filled it.
type planning struct {
	planner *Planner
	facts   Facts
	pod     *pod.Pod
	// discovery, identity and limited come from chooseDiscovery. identity is nil with discovery at start. limited is the
	// result of Limit.
	discovery config.Discovery
	identity  *identity.Identity
	limited   Limited
	// notebook is the notebook container, and notebookAt its pointer in the Pod.
	notebook   *pod.Container
	notebookAt pod.Pointer
	// homeIn are the other containers that get the home (homein.go).
	homeIn []homeContainer
	// otherCandidates are the names of further candidates for the notebook container.
	otherCandidates []string
	// home is the value of HOME in the notebook container.
	home string
	// subPath is the home, relative to the share's root; empty if the home is unknown. parent is the directory above the
	// home, also relative to the share's root, and homesDir the path of that directory in the init container. homeOnShare
	// is the path inside share.mountPath at which the notebook container has the home, such as /data/hpc/home/alice.
	subPath, parent, homesDir, homeOnShare string
	// deniedVolumes are the names of the Pod's volumes that use one of our claims under a name other than ours. share.go denies
	// these volumes.
	deniedVolumes []string
	// identityEnv are the six variables that are ours, such as NB_USER and HOME (env.go).
	identityEnv [6]identityVar
	// literals are the values that the method literal returns (variables.go); nil until it is called.
	literals map[string]string
	jupyter  jupyterServer
}

// Planner plans Pods by one configuration. A Planner does not change after NewPlanner, and is safe for concurrent use.
type Planner struct {
	config     *config.Config
	generation string
	// The following fields are computed from the configuration once, because they are the same for every Pod.
	starts    []imageStart
	init      initTemplate
	env       []pod.EnvVar
	resources pod.Resources
	scratch   pod.Volume
	// shares are the volumes of our claims, the share's first. further are the names of the further claims: the claims that
	// share.directories names, without the share's own claim.
	shares  []pod.Volume
	further []string
	// settings are Jupyter's settings as JSON, for Pods in which the webhook does not set where Jupyter listens.
	settings string
	// binary is the path of jupyter-user-init in the notebook container.
	binary string
	// fixedHomes is the directory above the homes, as a path in the init container; empty if users have different
	// directories above their homes.
	fixedHomes string
}

// NewPlanner returns a planner for a validated configuration.
func NewPlanner(c *config.Config) *Planner {
	return &Planner{
		config: c, generation: c.Generation(), starts: imageStarts(c.Notebook.Starts), init: newInitTemplate(c), env: envDefaults(c),
		resources: resourcesOf(c.Notebook.Resources), shares: shareVolumes(c), further: c.Share.FurtherClaims(),
		scratch: scratchVolume(c), settings: marshalled(settingsOfSite(c)), fixedHomes: fixedHomes(c),
		binary: c.Scratch.MountPath + "/" + handoff.Binary,
	}
}

// Generation returns the generation of the configuration, a hash, which the webhook writes into the annotation
// jupyter-user.io/config.
func (p *Planner) Generation() string { return p.generation }

// Plan returns the plan for a Pod. It takes these steps:
//
//  1. Choose the discovery: is the identity known now, or found at start? (discovery.go) Find the home. (home.go)
//  2. Deny Pods with a path or a name that is too long (longtexts.go), and find the notebook container. (notebook.go)
//  3. Deny Pods that cannot become a notebook: for example Windows Pods, and Pods with a sidecar that could run as another
//     user.
//  4. Read the annotations by which the Pod turns pieces on and off.
//  5. Find out from the Pod where Jupyter listens. (jupyter.go, flags.go)
//  6. Plan each piece.
//
// Plan collects its denials, and Reconcile returns them together with its own. Three problems end the planning early: a
// path or a name that is too long, no container, and an unknown home.
func (p *Planner) Plan(document *pod.Pod, facts Facts) *Plan {
	in := planning{planner: p, facts: facts, pod: document, identity: facts.Identity}
	in.home = p.config.Notebook.Homes + "/" + facts.User.String()
	plan := &Plan{}
	plan.Discovery, plan.DiscoveryReason, plan.denials = in.chooseDiscovery()
	in.discovery = plan.Discovery
	plan.Identity, plan.warnings = in.identity, in.limited.Warnings
	if denied := in.findHome(); denied != nil {
		plan.denials = append(plan.denials, *denied)
	}
	plan.Home = in.subPath

	if denials := in.denyLongTexts(); len(denials) > 0 {
		plan.denials = append(plan.denials, denials...)
		return plan
	}
	// If no notebook container is found, the first container is used instead, to find further errors.
	at, reason, denied := in.findNotebook()
	if denied != nil {
		plan.denials = append(plan.denials, *denied)
	}
	if len(document.Spec.Containers) == 0 {
		return plan
	}
	in.notebookAt, in.notebook = pod.ContainersPath.Index(at), &document.Spec.Containers[at]
	plan.Notebook, plan.NotebookReason, plan.notebookPath = in.notebook.Name, reason, in.notebookAt

	if in.subPath == "" {
		return plan
	}
	plan.denials = slices.Concat(plan.denials, in.denyWholePod(), in.findHomeIn(), in.denySidecars())
	switches, denials := in.readSwitches()
	plan.denials = append(plan.denials, denials...)
	plan.warnings = append(plan.warnings, in.warnings(switches)...)
	in.deniedVolumes = in.otherShareVolumes()
	in.identityEnv = in.identityVars()
	in.jupyter = in.findServer(switches)
	plan.pieces = in.pieces(switches)
	return plan
}

func (in *planning) pieces(s switches) pieces {
	return pieces{
		planned:     true,
		annotations: in.planAnnotations(),
		share:       in.planShare(),
		scratch:     in.planScratch(),
		pullSecrets: in.planPullSecrets(),
		groups:      in.planGroups(),
		homeIn:      in.planHomeIn(),
		init:        in.planInit(),
		mounts:      in.planMounts(s),
		privileges:  in.planPrivileges(),
		start:       in.planStart(),
		env:         in.planEnv(),
		probes:      in.planProbes(s),
		port:        in.planPort(),
		resources:   in.planResources(),
	}
}

// denyWholePod denies Windows Pods and Windows host processes. It denies user namespaces too, unless
// share.allowUserNamespaces is true. It does not check the host's network, PID and IPC namespaces: the policy
// node.jupyter-user.io decides about them.
func (in *planning) denyWholePod() (denials []denial.Denial) {
	if os := in.pod.Spec.OS; os != nil && os.Name == "windows" {
		denials = append(denials, denial.NotLinux(os.Name))
	} else {
		denials = append(denials, in.denyHostProcesses()...)
	}
	if users := in.pod.Spec.HostUsers; users != nil && !*users && !in.planner.config.Share.AllowUserNamespaces {
		denials = append(denials, denial.UserNamespace(pod.SpecPath.Child("hostUsers").Field()))
	}
	return denials
}

// denyHostProcesses denies Windows host processes in a Pod whose spec.os is not windows. The option hostProcess of our init
// container is not denied, because confinement.go removes it.
func (in *planning) denyHostProcesses() (denials []denial.Denial) {
	deny := func(at pod.Pointer) {
		denials = append(denials, denial.HostProcess(at.Child("windowsOptions").Child("hostProcess").Field()))
	}
	isHostProcess := func(windows *pod.WindowsOptions) bool { return windows != nil && isTrue(windows.HostProcess) }
	if c := in.pod.Spec.SecurityContext; c != nil && isHostProcess(c.WindowsOptions) {
		deny(pod.SecurityContextPath)
	}
	for at, container := range in.pod.AllContainers {
		if c := container.SecurityContext; c != nil && isHostProcess(c.WindowsOptions) && !isInit(at, container) {
			deny(at.Pointer().Child("securityContext"))
		}
	}
	return denials
}

// switches say whether the probes and the account files are on or off. An annotation of the Pod takes precedence over the
// configuration, which readSwitches reads for the account files, and planProbes for the probes.
type switches struct {
	// probes is the annotation's value, on or off; empty if the Pod has no such annotation.
	probes string
	// accountFiles reports whether the account files are mounted (accounts.go).
	accountFiles bool
}

func (in *planning) readSwitches() (s switches, denials []denial.Denial) {
	read := func(key string) string {
		value, ok := in.pod.Metadata.Annotations[key]
		if ok && value != "on" && value != "off" {
			denials = append(denials, denial.AnnotationInvalid(key, value, "on", "off"))
		}
		return value
	}
	s.probes = read(probesAnnotation)
	accountFiles := read(accountFilesAnnotation)
	s.accountFiles = accountFiles == "on" || in.planner.config.Notebook.AccountFiles && accountFiles != "off"
	return s, denials
}

// warnings returns warnings about the choice of the notebook container, about variables that make our account files useless, and
// about unknown annotations with our prefix.
func (in *planning) warnings(s switches) (warnings []string) {
	if len(in.otherCandidates) > 0 {
		warnings = append(warnings, denial.ContainerByGuess(in.notebook.Name, in.otherCandidates, containerAnnotation))
	}
	if s.accountFiles && in.replacesAccounts() {
		warnings = append(warnings, denial.AccountsElsewhere())
	}
	var unknown []string
	for key := range in.pod.Metadata.Annotations {
		if strings.HasPrefix(key, annotationPrefix) && !slices.Contains(knownAnnotations, key) {
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	for _, key := range unknown {
		warnings = append(warnings, denial.AnnotationUnknown(key, requestAnnotations))
	}
	return warnings
}
