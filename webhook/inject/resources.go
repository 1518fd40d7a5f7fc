package inject

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Resources: requests and limits for a notebook that has none.
//
// Adds the configured ones where the notebook container has no requests, limits or claims at all, the pod has none as a
// whole, and no hub has made it: a hub without limits means it. They are the pod's: one that has any is left as it is.

type resourcesPiece struct {
	container pod.Pointer
	exists    bool
	has       bool
	want      *pod.Resources
	// left is why none are added.
	left string
}

func (in *planning) planResources() resourcesPiece {
	p := resourcesPiece{
		container: in.notebookAt,
		exists:    in.notebook.Resources != nil,
		has:       !in.notebook.Resources.Empty(),
	}
	p.want, p.left = in.wantedResources()
	return p
}

// wantedResources are what the notebook is given; nil where that is nothing, and why.
func (in *planning) wantedResources() (want *pod.Resources, left string) {
	switch {
	case !in.notebook.Resources.Empty():
		return nil, ""
	case !in.pod.Spec.Resources.Empty():
		return nil, denial.ResourcesOfPod
	case user.FromHub(in.pod.Metadata.Labels):
		return nil, denial.ResourcesOfHub
	case in.planner.resources.Empty():
		return nil, denial.TurnedOffByConfig
	}
	return &in.planner.resources, ""
}

// guaranteed tells whether the pod is of that class but for our init container: each container requests all that it may use.
func (in *planning) guaranteed() bool {
	for at, c := range in.pod.AllContainers {
		r := c.Resources
		switch {
		case isInit(at, c):
			continue
		case c == in.notebook && r.Empty():
			r, _ = in.wantedResources()
		}
		if !isGuaranteed(r, "cpu") || !isGuaranteed(r, "memory") {
			return false
		}
	}
	return in.pod.Spec.Resources.Empty()
}

// isGuaranteed reports whether there is a limit, and no request below it.
func isGuaranteed(r *pod.Resources, name string) bool {
	if r == nil || r.Limits[name] == nil {
		return false
	}
	var request, limit resource.Quantity
	if limit.UnmarshalJSON(r.Limits[name]) != nil || limit.Sign() <= 0 {
		return false
	}
	if r.Requests[name] == nil {
		return true // The API server takes the limit.
	}
	return request.UnmarshalJSON(r.Requests[name]) == nil && request.Cmp(limit) == 0
}

func (p resourcesPiece) reconcile(_ *pod.Pod, c *changes) {
	m := member{p.container, true, "resources"}
	c.offerDefault(m, p.has, p.left, func() { putResources(c, m.at(), p.exists, p.want) })
}

// putResources fills in what is not there. Whether it is missing or empty is the same to a container, but not to a field
// in it that we have never heard of.
func putResources(c *changes, at pod.Pointer, exists bool, want *pod.Resources) {
	if len(want.Requests) > 0 {
		putField(c, thePods, member{at, exists, "requests"}, nil, want.Requests)
	}
	if len(want.Limits) > 0 {
		putField(c, thePods, member{at, exists, "limits"}, nil, want.Limits)
	}
}

// quantity is a configured one as JSON, in its canonical form.
func quantity(q resource.Quantity) jsontext.Value { return jsontext.Value(strconv.Quote(q.String())) }

// resourcesOf writes configured quantities as they are in a pod.
func resourcesOf(r config.Resources) pod.Resources {
	return pod.Resources{Requests: quantities(r.Requests), Limits: quantities(r.Limits)}
}

func quantities(list corev1.ResourceList) pod.Quantities {
	if len(list) == 0 {
		return nil
	}
	raw := make(pod.Quantities, len(list))
	for name, q := range list {
		raw[string(name)] = quantity(q)
	}
	return raw
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
