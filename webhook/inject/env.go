package inject

import (
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Environment: the variables by which Jupyter's images know the person.
//
// Sets NB_USER and HOME, and, where they are known at admission, NB_UID and NB_GID; at start our binary sets these two
// and the pod's are taken away. These four are ours: another value is replaced, a second entry of the same name removed,
// and the pod is warned. The configured defaults (JUPYTER_ENABLE_LAB) are the pod's where it has them, and so is
// JUPYTER_CONFIG_PATH, which leads to the one setting that Jupyter needs in a pod: by itself it listens on loopback, where no
// probe reaches it (z2jh's image does; docker-stacks' configures the same that we do). A hub says by itself where its servers
// listen. No token is ever put in: without one Jupyter makes its own.

type envPiece struct {
	at       pod.Pointer
	have     []pod.EnvVar
	home     string
	identity [4]identityVar
	defaults []pod.EnvVar
}

type identityVar struct {
	name  string
	value string
	// unknown tells that there is no value, and that the pod must not have the variable.
	unknown bool
}

// identityVars are the variables that are ours, as they will be.
func (in *planning) identityVars() [4]identityVar {
	vars := [...]identityVar{
		{"NB_USER", in.facts.User.String(), false}, {"NB_UID", "", true}, {"NB_GID", "", true}, {"HOME", in.home, false},
	}
	if in.identity != nil {
		vars[1] = identityVar{name: "NB_UID", value: decimal(in.identity.UID)}
		vars[2] = identityVar{name: "NB_GID", value: decimal(in.identity.GID)}
	}
	return vars
}

func (in *planning) planEnv() envPiece {
	p := envPiece{
		at: in.notebookAt.Child("env"), have: in.notebook.Env, home: in.home, identity: in.identityEnv, defaults: slices.Clip(in.planner.env),
	}
	if in.jupyter.reachable && !contains(p.defaults, handoff.JupyterConfigVariable) {
		p.defaults = append(p.defaults, pod.EnvVar{Name: handoff.JupyterConfigVariable, Value: in.planner.config.Scratch.MountPath})
	}
	return p
}

// envDefaults are the configured ones.
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
	var taken []string
	var gone []int
	missing := make([]pod.EnvVar, 0, len(p.identity))
	for _, want := range p.identity {
		changed, second, absent := p.find(want)
		gone = append(gone, second...)
		if absent {
			missing = append(missing, pod.EnvVar{Name: want.name, Value: want.value})
		}
		if changed >= 0 {
			m := member{p.at, true, decimal(int64(changed))}
			putField(c, ours, m, &p.have[changed], pod.EnvVar{Name: want.name, Value: want.value})
		}
		if changed >= 0 || len(second) > 0 {
			taken = append(taken, want.name)
		}
	}
	if len(taken) > 0 {
		c.warn(denial.EnvTaken(taken))
	}
	p.replaceImagesHome(c)
	slices.Sort(gone)
	removeAt(c, p.at, p.have, gone)
	for i := range missing {
		c.appendTo(ours, p.at, len(p.have), &missing[i])
	}
	for i := range p.defaults {
		if v := &p.defaults[i]; contains(p.have, v.Name) {
			c.record(Kept, thePods, member{object: p.at}, v)
		} else {
			c.appendTo(thePods, p.at, len(p.have), v)
		}
	}
}

// replaceImagesHome has Jupyter open in the person's home where a hub would have it open in the image's own.
func (p envPiece) replaceImagesHome(c *changes) {
	for i, v := range p.have {
		if v.Name == rootDirVariable && inImagesHome(v.Value, p.home) {
			c.warn(denial.HomeOfTheImage(v.Name, v.Value, p.home))
			m := member{p.at, true, decimal(int64(i))}
			c.replaceWithHome(m, m.at().Child("value"), p.home, pod.EnvVar{Name: v.Name, Value: p.home})
		}
	}
}

// find says which entry of a variable has to change (-1 for none), which are too many, and whether there is none.
func (p envPiece) find(want identityVar) (changed int, second []int, absent bool) {
	changed, absent = -1, !want.unknown
	for i, v := range p.have {
		switch {
		case v.Name != want.name:
		case want.unknown || !absent:
			second = append(second, i)
		default:
			absent = false
			if v.Value != want.value || v.ValueFrom != nil {
				changed = i
			}
		}
	}
	return changed, second, absent
}
