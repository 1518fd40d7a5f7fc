package inject

// Port: 8888, named http, for people and Services that look for it.
//
// Adds the port on which Jupyter listens where Jupyter is what starts and the notebook container declares none. It is the
// pod's: one that declares any is left as it is.

type portPiece struct {
	at   pointer
	want *Port
}

func (in *planning) planPort() piece {
	p := portPiece{at: in.container().child("ports")}
	if in.server.starts && in.server.port > 0 && len(in.notebook.Ports) == 0 {
		p.want = &Port{Name: "http", ContainerPort: in.server.port, Protocol: "TCP"}
	}
	return p
}

func (p portPiece) reconcile(_ *Pod, c *changes) {
	if p.want != nil {
		c.appendTo(theirs, p.at, 0, p.want)
	}
}
