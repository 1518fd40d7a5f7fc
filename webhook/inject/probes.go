package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
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
	at       pointer
	notebook *Container
	want     wantedProbes
	// left is why none are to be added, and warning where that is not what the pod could have wished for.
	left, warning string
}

type wantedProbes struct {
	startup, readiness, liveness httpProbe
}

func (in *planning) planProbes(s switches) probesPiece {
	p := probesPiece{at: in.container(), notebook: in.notebook}
	timing := in.config.Notebook.Probes
	switch {
	case s.probes == "off":
		p.left = denial.TurnedOffByPod
	case !in.server.starts:
		p.left = denial.NoJupyter
	case s.probes == "" && !timing.Enabled:
		p.left = denial.TurnedOffByConfig
	case in.server.port == 0:
		p.left, p.warning = denial.NoListening, denial.ProbesLeftOut(in.server.why)
	default:
		asked := in.server.probe()
		p.want = wantedProbes{every(asked, timing.Startup), every(asked, timing.Readiness), every(asked, timing.Liveness)}
	}
	return p
}

// probe is what all three ask.
func (s server) probe() (p httpProbe) {
	if s.mutual {
		p.TCPSocket = &tcpSocket{s.port}
		return p
	}
	p.HTTPGet = &httpGet{Path: s.base + "api", Port: s.port, Scheme: "HTTP"}
	if s.tls {
		p.HTTPGet.Scheme = "HTTPS"
	}
	return p
}

// every is when they ask.
func every(p httpProbe, timing config.Probe) httpProbe {
	p.PeriodSeconds = timing.PeriodSeconds
	p.TimeoutSeconds = timing.TimeoutSeconds
	p.FailureThreshold = timing.FailureThreshold
	p.SuccessThreshold = 1
	return p
}

func (p probesPiece) reconcile(_ *Pod, c *changes) {
	if p.warning != "" {
		c.warn(p.warning)
	}
	for _, probe := range []struct {
		key  string
		have *Probe
		want httpProbe
	}{
		{"startupProbe", p.notebook.StartupProbe, p.want.startup},
		{"readinessProbe", p.notebook.ReadinessProbe, p.want.readiness},
		{"livenessProbe", p.notebook.LivenessProbe, p.want.liveness},
	} {
		m := member{p.at, true, probe.key}
		c.offer(m, probe.have != nil, p.left, func() { put(c, theirs, m, nil, probe.want) })
	}
}
