package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Port: a declared port with the name "http", usually 8888, for users and Services that refer to it.
//
// Adds the port on which Jupyter listens, if Jupyter can start, the port is known and the notebook container declares no
// port. The ports are the Pod's: a container that declares any is not changed. No port is added if another container has
// a port of that name or number. Otherwise a Service that refers to a login proxy's port by name could bypass the proxy,
// and with hostNetwork the two numbers would conflict. Probes do not need a declared port.

type portPiece struct {
	at   pod.Pointer
	has  bool
	want *pod.Port
	// leftOut is the reason why no port is added; empty if there is none.
	leftOut string
}

func (in *planning) planPort() portPiece {
	p := portPiece{at: in.notebookAt, has: len(in.notebook.Ports) > 0}
	switch {
	case p.has:
	case !in.jupyter.canStart():
		p.leftOut = denial.NoJupyter
	case in.jupyter.port == 0:
		p.leftOut = denial.NoListening
	case in.portTaken(in.jupyter.port):
		p.leftOut = denial.PortTaken
	default:
		p.want = &pod.Port{Name: portName, ContainerPort: in.jupyter.port, Protocol: "TCP"}
	}
	return p
}

const portName = "http"

// portTaken reports whether any container declares a port with the name http or with this number.
func (in *planning) portTaken(number int32) bool {
	for _, c := range in.pod.AllContainers {
		for _, p := range c.Ports {
			if p.Name == portName || p.ContainerPort == number {
				return true
			}
		}
	}
	return false
}

func (p portPiece) reconcile(_ *pod.Pod, c *changes) {
	m := member{p.at, true, "ports"}
	c.putDefault(m, p.has, p.leftOut, func() { c.appendTo(thePods, m.at(), 0, p.want) })
}
