package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Probes: startup, readiness and liveness, asked of <base URL>api, which Jupyter answers without a login. (/lab answers
// a redirect where there is a token, and 404 behind a hub.)
//
// Adds each of the three that the notebook container does not have, where Jupyter is what starts: by the image's own
// start or by a known command line (jupyter.go), never for "sleep 1000". The annotation jupyter-user.io/probes says on or
// off. Base URL and port come from the pod. HTTPS is asked where Jupyter is given a certificate; where the hub has
// it ask for a client certificate (internal_ssl) no HTTP probe can pass, and a TCP one takes its place. Where the port
// cannot be told, none is added and the pod is warned. They are the pod's: each one that it has is left as it is.

type probesPiece struct {
	at       pod.Pointer
	notebook *pod.Container
	want     wantedProbes
	// left is why none are to be added, and warning where that is not what the pod could have wished for.
	left, warning string
}

type wantedProbes struct {
	startup, readiness, liveness pod.HTTPProbe
}

func (in *planning) planProbes(s switches) probesPiece {
	p := probesPiece{at: in.notebookAt, notebook: in.notebook}
	timing := in.planner.config.Notebook.Probes
	switch {
	case s.probes == "off":
		p.left = denial.TurnedOffByPod
	case !in.jupyter.starts:
		p.left = denial.NoJupyter
	case s.probes == "" && !timing.Enabled:
		p.left = denial.TurnedOffByConfig
	case in.jupyter.port == 0:
		p.left, p.warning = denial.NoListening, denial.ProbesLeftOut(in.jupyter.why)
	default:
		asked := in.jupyter.probe()
		p.want = wantedProbes{withTiming(asked, timing.Startup), withTiming(asked, timing.Readiness), withTiming(asked, timing.Liveness)}
	}
	return p
}

// probe is what all three ask.
func (s jupyterServer) probe() (p pod.HTTPProbe) {
	if s.mutual {
		p.TCPSocket = &pod.TCPSocket{Port: s.port}
		return p
	}
	p.HTTPGet = &pod.HTTPGet{Path: s.base + "api", Port: s.port, Scheme: "HTTP"}
	if s.tls {
		p.HTTPGet.Scheme = "HTTPS"
	}
	return p
}

// withTiming is when they ask.
func withTiming(p pod.HTTPProbe, timing config.Probe) pod.HTTPProbe {
	p.PeriodSeconds = timing.PeriodSeconds
	p.TimeoutSeconds = timing.TimeoutSeconds
	p.FailureThreshold = timing.FailureThreshold
	p.SuccessThreshold = 1
	return p
}

func (p probesPiece) reconcile(_ *pod.Pod, c *changes) {
	if p.warning != "" {
		c.warn(p.warning)
	}
	for _, probe := range []struct {
		key  string
		have *pod.Probe
		want pod.HTTPProbe
	}{
		{"startupProbe", p.notebook.StartupProbe, p.want.startup},
		{"readinessProbe", p.notebook.ReadinessProbe, p.want.readiness},
		{"livenessProbe", p.notebook.LivenessProbe, p.want.liveness},
	} {
		m := member{p.at, true, probe.key}
		c.offerDefault(m, probe.have != nil, p.left, func() { putField(c, thePods, m, nil, probe.want) })
	}
}
