package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Probes: startup, readiness and liveness, which request <base URL>api. Jupyter serves it without a login. (/lab returns a
// redirect if there is a token, and 404 behind a hub.)
//
// Adds each of the three that the configuration enables and the notebook container does not have:
//
//	what the container runs (commandline.go, image.go)    startup and liveness    readiness    warning
//	Jupyter: by command, image, hub or configuration       added                   added
//	an image that is not known, without a command          –                       added        names the annotation
//	a command that may start Jupyter, or not               –                       –            names the annotation
//	a program that is known not to be Jupyter              –                       –
//
// A probe that can restart a container is added only if Jupyter is known to run: any other program would be restarted for
// ever. The annotation jupyter-user.io/probes turns all three on or off. Base URL and port come from the Pod. The probe uses
// HTTPS if Jupyter has a certificate, and TCP if Jupyter requires a client certificate, because no HTTP probe can pass then.
// If the port is unknown, no probe is added and the Pod gets a warning. The probes are the Pod's: its own probes are not
// changed.

type probesPiece struct {
	at                           pod.Pointer
	notebook                     *pod.Container
	startup, readiness, liveness wantedProbe
	warnings                     []string
}

// wantedProbe is one of the three probes; left is why it is not added, and empty if it is added.
type wantedProbe struct {
	want    pod.HTTPProbe
	leftOut string
}

func (in *planning) planProbes(s switches) probesPiece {
	p := probesPiece{at: in.notebookAt, notebook: in.notebook}
	timing := in.planner.config.Notebook.Probes
	p.warnings = in.jupyter.warnings
	switch what := in.jupyter.kind; {
	case s.probes == "off":
		p.leaveAll(denial.TurnedOffByPod)
	case what == runsOther:
		p.leaveAll(denial.NoJupyter)
	case s.probes == "" && !timing.Enabled:
		p.leaveAll(denial.TurnedOffByConfig)
	case what == runsUnclear:
		p.leaveAll(denial.NoJupyter)
		p.warn(in.notebook, denial.StartUnclear(in.notebook.Name, probesAnnotation))
	case in.jupyter.port == 0:
		p.leaveAll(denial.NoListening)
		p.warn(in.notebook, denial.ProbesLeftOut(in.jupyter.why))
	default:
		p.add(in.jupyter, timing)
		if what == runsUnknown {
			p.startup.leftOut, p.liveness.leftOut = denial.StartUnknown, denial.StartUnknown
			p.warn(in.notebook, denial.ReadinessAlone(in.notebook.Name, probesAnnotation))
		}
	}
	return p
}

// warn warns of probes that are left out, unless the Pod has its own.
func (p *probesPiece) warn(c *pod.Container, warning string) {
	if c.StartupProbe == nil || c.ReadinessProbe == nil || c.LivenessProbe == nil {
		p.warnings = append(p.warnings, warning)
	}
}

func (p *probesPiece) leaveAll(why string) {
	p.startup.leftOut, p.readiness.leftOut, p.liveness.leftOut = why, why, why
}

// add plans the configured probes.
func (p *probesPiece) add(s jupyterServer, timing config.Probes) {
	wanted := s.probe()
	for _, one := range []struct {
		probe  *wantedProbe
		timing config.Probe
	}{{&p.startup, timing.Startup}, {&p.readiness, timing.Readiness}, {&p.liveness, timing.Liveness}} {
		one.probe.want = withTiming(wanted, one.timing)
		if !one.timing.Enabled {
			one.probe.leftOut = denial.TurnedOffByConfig
		}
	}
}

// probe returns the request that all three probes send.
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

// withTiming returns a probe with the configured timing.
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
		c.offerDefault(m, probe.have != nil, probe.leftOut, func() { putField(c, thePods, m, nil, probe.want) })
	}
}
