package inject

import (
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Environment: the variables by which Jupyter images identify the user.
//
// Sets NB_USER, HOME, USER and LOGNAME, and with discovery at admission NB_UID and NB_GID. With discovery at start
// jupyter-user-init sets NB_UID and NB_GID when the container starts, and the Pod's entries for NB_UID and NB_GID are
// removed. All six variables are ours: a different value is replaced, a second entry of the same name is removed, and the
// Pod gets a warning. The configured defaults (notebook.env, such as JUPYTER_ENABLE_LAB) are added if the Pod does not have
// them. The webhook never adds a token for Jupyter: without a token in the Pod, Jupyter makes one.
//
// With discovery at admission the directory of our settings files (settings.go) is put before the Pod's directories in
// JUPYTER_CONFIG_PATH, unless the program is known not to be Jupyter or the Pod's value is not known.
//
// XDG_CACHE_HOME and the other variables XDG_* are the Pod's, but a value in the image's own home (imageshome.go) is
// replaced by the same directory of the user's home. JUPYTERHUB_ROOT_DIR with such a value gets the user's home itself. Any
// other variable with such a value stays, with a warning. The image itself can set XDG_CACHE_HOME to such a value, which the
// webhook does not see. So with discovery at admission a Pod without XDG_CACHE_HOME gets .cache in the user's home. With
// discovery at start jupyter-user-init replaces the image's value in the container, if that value is in the image's own home.
//
// JUPYTER_RUNTIME_DIR is set to a directory below /tmp unless the program is known not to be Jupyter, the Pod or notebook.env
// sets the variable, or the container has no writable /tmp of its own (writesTmp).

type envPiece struct {
	at       pod.Pointer
	have     []pod.EnvVar
	mounts   []pod.Mount
	home     string
	identity [6]identityVar
	defaults []pod.EnvVar
	// configPath is the planned JUPYTER_CONFIG_PATH; empty if the webhook does not set the variable.
	configPath string
}

type identityVar struct {
	name  string
	value string
	// unknown reports whether the value is not known at admission. Then the variable is removed from the Pod.
	unknown bool
}

// identityVars returns the six variables that are ours, with their planned values.
func (in *planning) identityVars() [6]identityVar {
	vars := [...]identityVar{
		{"NB_USER", in.facts.User.String(), false}, {"NB_UID", "", true}, {"NB_GID", "", true}, {"HOME", in.home, false},
		{"USER", in.facts.User.String(), false}, {"LOGNAME", in.facts.User.String(), false},
	}
	if in.identity != nil {
		vars[1] = identityVar{name: "NB_UID", value: decimal(in.identity.UID)}
		vars[2] = identityVar{name: "NB_GID", value: decimal(in.identity.GID)}
	}
	return vars
}

func (in *planning) planEnv() envPiece {
	p := envPiece{
		at: in.notebookAt.Child("env"), have: in.notebook.Env, mounts: in.notebook.VolumeMounts, home: in.home,
		identity: in.identityEnv,
		defaults: slices.Grow(slices.Clip(in.planner.env), 2),
	}
	p.configPath = in.configPath()
	if in.discovery == config.DiscoveryAtAdmission && !contains(p.defaults, cacheVariable) {
		p.defaults = append(p.defaults, pod.EnvVar{Name: cacheVariable, Value: in.home + "/.cache"})
	}
	if in.jupyter.getsSettings() && in.writesTmp() && !contains(p.defaults, runtimeVariable) {
		p.defaults = append(p.defaults, pod.EnvVar{Name: runtimeVariable, Value: runtimeDir})
	}
	return p
}

// JUPYTER_RUNTIME_DIR names the directory in which Jupyter keeps the state of a running server. runtimeDir is the value
// that the webhook sets. Jupyter's default is a directory in the home. With that default Jupyter would exit at once if the
// home is full or over quota, and would lock files in the home, which not every network file system supports.
const (
	runtimeVariable = "JUPYTER_RUNTIME_DIR"
	runtimeDir      = "/tmp/jupyter-runtime"
)

// writesTmp reports whether the Pod lets the notebook container write to a /tmp of its own. It returns false if a directory of
// share.directories is mounted at, above or below runtimeDir, or a volume at /tmp that other Pods can have too, because several
// users would then share the runtime directory, which belongs to the first of them.
func (in *planning) writesTmp() bool {
	for _, d := range in.planner.config.Share.Directories {
		if at := pod.CleanPath(d.MountPath); at == runtimeDir || pod.Inside(runtimeDir, at) || pod.Inside(at, runtimeDir) {
			return false
		}
	}
	for _, m := range in.notebook.VolumeMounts {
		if pod.CleanPath(m.MountPath) == "/tmp" {
			return !m.ReadOnly && in.isPrivate(m.Name)
		}
	}
	s := in.notebook.SecurityContext
	return s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem
}

// isPrivate reports whether a volume of the Pod is made for this Pod and deleted with it.
func (in *planning) isPrivate(volume string) bool {
	return slices.ContainsFunc(in.pod.Spec.Volumes, func(v pod.Volume) bool {
		return v.Name == volume && (v.EmptyDir != nil || v.Ephemeral != nil)
	})
}

func envDefaults(c *config.Config) (defaults []pod.EnvVar) {
	for _, v := range c.Notebook.Env {
		defaults = append(defaults, pod.EnvVar{Name: v.Name, Value: v.Value})
	}
	return defaults
}

func contains(variables []pod.EnvVar, name string) bool {
	return slices.ContainsFunc(variables, func(v pod.EnvVar) bool { return v.Name == name })
}

func (p envPiece) reconcile(_ *pod.Pod, c *changes) {
	var replaced, removed []string
	var surplus []int
	var missing []pod.EnvVar
	for _, want := range p.identity {
		changed, remove, add := p.find(want)
		surplus = append(surplus, remove...)
		if add {
			missing = append(slices.Grow(missing, len(p.identity)-len(missing)), pod.EnvVar{Name: want.name, Value: want.value})
		}
		if changed >= 0 {
			m := member{p.at, true, decimal(int64(changed))}
			putField(c, ours, m, &p.have[changed], pod.EnvVar{Name: want.name, Value: want.value})
		}
		switch {
		case want.unknown && len(remove) > 0:
			removed = append(removed, want.name)
		case changed >= 0 || len(remove) > 0:
			replaced = append(replaced, want.name)
		}
	}
	if len(replaced) > 0 {
		c.warn(denial.EnvReplaced(replaced))
	}
	if len(removed) > 0 {
		c.warn(denial.EnvRemoved(removed))
	}
	p.replaceImagesHome(c)
	p.replaceConfigPath(c)
	// The operations above have indices of p.have, so they come before the removal, which changes the indices.
	slices.Sort(surplus)
	removeAt(c, p.at, p.have, surplus)
	for i := range missing {
		c.appendTo(ours, p.at, len(p.have), &missing[i])
	}
	for i := range p.defaults {
		if p.configPath != "" && p.defaults[i].Name == handoff.JupyterConfigVariable {
			continue
		}
		if v := &p.defaults[i]; contains(p.have, v.Name) {
			c.record(Kept, thePods, member{object: p.at}, v)
		} else {
			c.appendTo(thePods, p.at, len(p.have), v)
		}
	}
	if p.configPath != "" && !contains(p.have, handoff.JupyterConfigVariable) {
		c.appendTo(thePods, p.at, len(p.have), &pod.EnvVar{Name: handoff.JupyterConfigVariable, Value: p.configPath})
	}
}

// replaceConfigPath gives JUPYTER_CONFIG_PATH of the Pod the planned value, if there is one. Its other fields stay, also those of
// a newer API. The operation is "add", because the field can be absent.
func (p envPiece) replaceConfigPath(c *changes) {
	at := lastOf(p.have, handoff.JupyterConfigVariable)
	if p.configPath == "" || at < 0 {
		return
	}
	want := pod.EnvVar{Name: handoff.JupyterConfigVariable, Value: p.configPath}
	m := member{p.at, true, decimal(int64(at))}
	if p.have[at] == want {
		c.record(Kept, thePods, member{object: p.at}, &want)
	} else {
		c.record(Replaced, thePods, m, want)
		c.operation("add", m.at().Child("value"), p.configPath)
	}
}

// lastOf returns the index of the last variable with a name, which is the variable that a process gets; -1 if there is none.
func lastOf(variables []pod.EnvVar, name string) int {
	for i, v := range slices.Backward(variables) {
		if v.Name == name {
			return i
		}
	}
	return -1
}

// cacheVariable is the variable that many images set to a directory in the image's own home.
const cacheVariable = "XDG_CACHE_HOME"

// replaceImagesHome changes JUPYTERHUB_ROOT_DIR and the variables XDG_* if their value is the image's own home (imageshome.go)
// or inside it. JUPYTERHUB_ROOT_DIR gets the user's home, and a variable XDG_* gets the same subdirectory of the user's
// home. Any other variable with such a value stays, with a warning: what it names is only in the image.
func (p envPiece) replaceImagesHome(c *changes) {
	for i, v := range p.have {
		isXDG := strings.HasPrefix(v.Name, "XDG_")
		replaced := isXDG || v.Name == rootDirVariable
		if v.ValueFrom != nil || !replaced && !p.leadsIntoImage(v) {
			continue
		}
		below, ok := handoff.BelowImagesHome(v.Value, p.home)
		switch {
		case !ok:
			continue
		case !replaced:
			c.warn(denial.InImagesHome(v.Name, v.Value))
			continue
		}
		dir := p.home
		if isXDG {
			dir += below
		}
		c.warn(denial.HomeOfTheImage(v.Name, v.Value, dir))
		m := member{p.at, true, decimal(int64(i))}
		c.replaceText(m, m.at().Child("value"), dir, pod.EnvVar{Name: v.Name, Value: dir})
	}
}

// leadsIntoImage reports whether the value of a variable is one absolute path below /home, and not a list such as PATH. It
// returns false for a path in a mounted volume, and for a variable of ours, such as HOME.
func (p envPiece) leadsIntoImage(v pod.EnvVar) bool {
	if !strings.HasPrefix(v.Value, "/home/") || strings.Contains(v.Value, ":") || p.isIdentity(v.Name) {
		return false
	}
	at := pod.CleanPath(v.Value)
	return !slices.ContainsFunc(p.mounts, func(m pod.Mount) bool {
		mountPath := pod.CleanPath(m.MountPath)
		return at == mountPath || pod.Inside(at, mountPath)
	})
}

// isIdentity reports whether a variable is one of ours, such as HOME.
func (p envPiece) isIdentity(name string) bool {
	return slices.ContainsFunc(p.identity[:], func(v identityVar) bool { return v.name == name })
}

// find compares the Pod's entries of one variable with the wanted value. changed is the index of the entry that must
// change, or -1. remove has the indices of the entries that must be removed. add reports whether an entry must be added.
func (p envPiece) find(want identityVar) (changed int, remove []int, add bool) {
	changed, add = -1, !want.unknown
	for i, v := range p.have {
		switch {
		case v.Name != want.name:
		case want.unknown || !add:
			remove = append(remove, i)
		default:
			add = false
			if v.Value != want.value || v.ValueFrom != nil {
				changed = i
			}
		}
	}
	return changed, remove, add
}
