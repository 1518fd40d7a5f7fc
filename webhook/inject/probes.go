package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Probes: startup, readiness and liveness, which request <base URL>api. Jupyter serves this path without a login. (/lab returns
// a redirect if there is a token, and 404 behind a hub.)
//
// Adds each of the three probes that the configuration enables and the notebook container does not have:
//
//	program of the container (commandline.go, image.go)    startup and liveness    readiness    warning
//	Jupyter: by command, image, hub or configuration       added                   added
//	that of an unknown image                               –                       added        names the annotation
//	an unknown command                                     –                       –            names the annotation
//	known not to be Jupyter                                –                       –
//
// A probe that can restart a container is added only if Jupyter is known to run: any other program would be restarted for
// ever. With the annotation jupyter-user.io/probes: on, Jupyter is taken as known to run, and notebook.probes.enabled: false
// has no effect; with off, no probe is added. The probe uses HTTPS if Jupyter has a certificate, and TCP if Jupyter requires
// a client certificate, because no HTTP probe can pass then. If no probe can reach Jupyter or the port is unknown, no probe
// is added and the Pod gets a warning. The probes are the Pod's: probes that the Pod has already are not changed.

type probesPiece struct {
	at                           pod.Pointer
	notebook                     *pod.Container
	startup, readiness, liveness wantedProbe
	warnings                     []string
}

type wantedProbe struct {
	want pod.HTTPProbe
	// leftOut is a reason not to add the probe; empty if there is none.
	leftOut string
}

func (in *planning) planProbes(s switches) probesPiece {
	p := probesPiece{at: in.notebookAt, notebook: in.notebook}
	timing := in.planner.config.Notebook.Probes
	p.warnings = in.jupyter.warnings
	switch kind := in.jupyter.kind; {
	case s.probes == "off":
		p.leaveAll(denial.TurnedOffByPod)
	case kind == runsOther:
		p.leaveAll(denial.NoJupyter)
	case s.probes == "" && !timing.Enabled:
		p.leaveAll(denial.TurnedOffByConfig)
	case kind == runsUnclear:
		p.leaveAll(denial.NoJupyter)
		p.warn(denial.StartUnclear(in.notebook.Name, probesAnnotation))
	case in.jupyter.port == 0:
		p.leaveAll(denial.NoListening)
		p.warn(denial.ProbesLeftOut(in.jupyter.why))
	default:
		p.add(in.jupyter, timing)
		if kind == runsUnknown {
			p.startup.leftOut, p.liveness.leftOut = denial.StartUnknown, denial.StartUnknown
			p.warn(denial.ReadinessAlone(in.notebook.Name, probesAnnotation))
		}
	}
	return p
}

// warn adds a warning about probes that are left out. It adds none if the notebook container has all three probes already.
func (p *probesPiece) warn(warning string) {
	if c := p.notebook; c.StartupProbe == nil || c.ReadinessProbe == nil || c.LivenessProbe == nil {
		p.warnings = append(p.warnings, warning)
	}
}

func (p *probesPiece) leaveAll(why string) {
	p.startup.leftOut, p.readiness.leftOut, p.liveness.leftOut = why, why, why
}

func (p *probesPiece) add(s jupyterServer, timing config.Probes) {
	probe := s.probe()
	for _, planned := range []struct {
		probe  *wantedProbe
		timing config.Probe
	}{{&p.startup, timing.Startup}, {&p.readiness, timing.Readiness}, {&p.liveness, timing.Liveness}} {
		planned.probe.want = withTiming(probe, planned.timing)
		if !planned.timing.Enabled {
			planned.probe.leftOut = denial.TurnedOffByConfig
		}
	}
}

// probe returns the HTTP request or TCP connection that the three probes share. withTiming adds the timing.
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

func withTiming(p pod.HTTPProbe, timing config.Probe) pod.HTTPProbe {
	p.PeriodSeconds = timing.PeriodSeconds
	p.TimeoutSeconds = timing.TimeoutSeconds
	p.FailureThreshold = timing.FailureThreshold
	p.SuccessThreshold = 1
	return p
}

func (p probesPiece) reconcile(_ *pod.Pod, c *changes) {
	c.warnings = append(c.warnings, p.warnings...)
	for _, probe := range []struct {
		key  string
		have *pod.Probe
		wantedProbe
	}{
		{"startupProbe", p.notebook.StartupProbe, p.startup},
		{"readinessProbe", p.notebook.ReadinessProbe, p.readiness},
		{"livenessProbe", p.notebook.LivenessProbe, p.liveness},
	} {
		m := member{p.at, true, probe.key}
		c.putDefault(m, probe.have != nil, probe.leftOut, func() { putField(c, thePods, m, nil, probe.want) })
	}
}
