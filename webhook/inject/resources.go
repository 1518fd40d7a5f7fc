package inject

import (
	"maps"
	"slices"
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
// Adds the configured CPU and memory, each where the notebook container has neither a request nor a limit of it: a GPU alone
// leaves both out. None is added where the Pod has resources as a whole, or where a hub has made it: a hub without limits means
// it. They are the Pod's: what it has is left as it is.

type resourcesPiece struct {
	container pod.Pointer
	have      *pod.Resources
	want      pod.Resources
	// left is why none are added.
	left string
}

func (in *planning) planResources() resourcesPiece {
	p := resourcesPiece{container: in.notebookAt, have: in.notebook.Resources}
	p.want, p.left = in.wantedResources()
	return p
}

// wantedResources returns what the notebook is given, and why that is nothing.
func (in *planning) wantedResources() (want pod.Resources, left string) {
	switch {
	case !in.pod.Spec.Resources.Empty():
		return pod.Resources{}, denial.ResourcesOfPod
	case user.FromHub(in.pod.Metadata.Labels):
		return pod.Resources{}, denial.ResourcesOfHub
	case in.planner.resources.Empty():
		return pod.Resources{}, denial.TurnedOffByConfig
	}
	have, configured := in.notebook.Resources, in.planner.resources
	return pod.Resources{Requests: missing(have, configured.Requests), Limits: missing(have, configured.Limits)}, ""
}

// missing returns those quantities of which there is neither a request nor a limit.
func missing(r *pod.Resources, configured pod.Quantities) pod.Quantities {
	if r == nil || len(r.Requests)+len(r.Limits) == 0 {
		return configured
	}
	var missing pod.Quantities
	for name, quantity := range configured {
		if r.Requests[name] == nil && r.Limits[name] == nil {
			if missing == nil {
				missing = pod.Quantities{}
			}
			missing[name] = quantity
		}
	}
	return missing
}

// withAdded returns resources and what is added to them.
func withAdded(r *pod.Resources, added pod.Resources) *pod.Resources {
	all := pod.Resources{Requests: pod.Quantities{}, Limits: pod.Quantities{}}
	for _, part := range []*pod.Resources{r, &added} {
		if part != nil {
			maps.Copy(all.Requests, part.Requests)
			maps.Copy(all.Limits, part.Limits)
		}
	}
	return &all
}

// guaranteed tells whether the pod is of that class but for our init container: each container requests all that it may use.
func (in *planning) guaranteed() bool {
	for at, c := range in.pod.AllContainers {
		r := c.Resources
		switch {
		case isInit(at, c):
			continue
		case c == in.notebook:
			added, _ := in.wantedResources()
			r = withAdded(r, added)
		}
		if !isGuaranteed(r, "cpu") || !isGuaranteed(r, "memory") {
			return false
		}
	}
	return in.pod.Spec.Resources.Empty()
}

// fitting returns resources of a container that are nowhere over those of its Pod as a whole: the API server denies such a Pod.
// A limit without a request is a request too.
func fitting(container, whole *pod.Resources) *pod.Resources {
	fits := pod.Resources{Requests: pod.Quantities{}, Limits: pod.Quantities{}}
	maps.Copy(fits.Requests, container.Limits)
	maps.Copy(fits.Requests, container.Requests)
	for name, limit := range container.Limits {
		fits.Limits[name] = smaller(limit, whole.Limits[name])
	}
	for name, request := range fits.Requests {
		fits.Requests[name] = smaller(smaller(request, whole.Limits[name]), whole.Requests[name])
	}
	return &fits
}

// smaller returns the smaller one of a quantity and another, which may be missing. One that is no quantity is the API server's to
// deny.
func smaller(of, other jsontext.Value) jsontext.Value {
	var a, b resource.Quantity
	if other == nil || a.UnmarshalJSON(of) != nil || b.UnmarshalJSON(other) != nil || a.Cmp(b) <= 0 {
		return of
	}
	return other
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
	has := p.left == "" && p.want.Empty() || p.left != "" && !p.have.Empty()
	c.offerDefault(m, has, p.left, func() { putResources(c, m.at(), p.have, &p.want) })
}

// putResources fills in what is not there. Whether it is missing or empty is the same to a container, but not to a field
// in it that we have never heard of.
func putResources(c *changes, at pod.Pointer, have, want *pod.Resources) {
	exists := have != nil
	if !exists {
		have = &pod.Resources{}
	}
	putQuantities(c, member{at, exists, "requests"}, have.Requests, want.Requests)
	putQuantities(c, member{at, exists, "limits"}, have.Limits, want.Limits)
}

func putQuantities(c *changes, m member, have, want pod.Quantities) {
	switch {
	case len(want) == 0:
	case len(have) == 0:
		putField(c, thePods, m, nil, want)
	default:
		c.record(Added, thePods, m, want)
		for _, name := range slices.Sorted(maps.Keys(want)) {
			c.operation("add", m.at().Child(name), want[name])
		}
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
