package inject

import (
	"encoding/json"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook/answer"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Resources: requests and limits for a notebook that has none.
//
// Adds the configured ones where the notebook container has no requests, limits or claims at all, the pod has none as a
// whole, and no hub has made it: a hub without limits means it. They are the pod's: one that has any is left as it is.

type resourcesPiece struct {
	container pointer
	exists    bool
	has       bool
	want      *Resources
	// left is why none are added.
	left string
}

func (in *planning) planResources() piece {
	p := resourcesPiece{
		container: in.container(),
		exists:    in.notebook.Resources != nil,
		has:       !in.notebook.Resources.empty(),
	}
	r := in.config.Notebook.Resources
	switch {
	case p.has:
	case !in.pod.Spec.Resources.empty():
		p.left = answer.ResourcesOfPod
	case user.FromHub(in.pod.Metadata.Labels):
		p.left = answer.ResourcesOfHub
	case len(r.Requests)+len(r.Limits) == 0:
		p.left = answer.TurnedOffByConfig
	default:
		p.want = &Resources{Requests: quantities(r.Requests), Limits: quantities(r.Limits)}
	}
	return p
}

func (p resourcesPiece) reconcile(_ *Pod, c *changes) {
	m := member{p.container, true, "resources"}
	switch {
	case p.has:
		c.keep(m)
	case p.want == nil:
		c.leave(m, p.left)
	default:
		putResources(c, m.at(), p.exists, p.want)
	}
}

// putResources fills in what is not there. Whether it is missing or empty is the same to a container, but not to a field
// in it that we have never heard of.
func putResources(c *changes, at pointer, exists bool, want *Resources) {
	if len(want.Requests) > 0 {
		put(c, theirs, member{at, exists, "requests"}, nil, want.Requests)
	}
	if len(want.Limits) > 0 {
		put(c, theirs, member{at, exists, "limits"}, nil, want.Limits)
	}
}

// quantities are the configuration's as JSON, in their canonical form.
func quantities(list corev1.ResourceList) map[string]json.RawMessage {
	if len(list) == 0 {
		return nil
	}
	raw := make(map[string]json.RawMessage, len(list))
	for name, q := range list {
		raw[string(name)] = json.RawMessage(strconv.Quote(q.String()))
	}
	return raw
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
