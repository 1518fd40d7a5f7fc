package inject

import (
	"maps"
	"regexp"
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

// Resources: requests and limits for a notebook container that has none.
//
// Adds the configured CPU and memory, each if the notebook container has neither a request nor a limit for it. So a
// container that only requests a GPU gets CPU and memory. Nothing is added if the Pod has Pod-level resources, or if a hub
// created the Pod: the hub's admin decides about limits, also if the hub sets none. Resources are the Pod's: existing values
// are not changed.

type resourcesPiece struct {
	container pod.Pointer
	have      *pod.Resources
	want      pod.Resources
	// leftOut is the reason why no resources are added; empty if there is none.
	leftOut string
}

func (in *planning) planResources() resourcesPiece {
	p := resourcesPiece{container: in.notebookAt, have: in.notebook.Resources}
	p.want, p.leftOut = in.wantedResources()
	return p
}

// wantedResources returns the resources to add, or the reason why none are added.
func (in *planning) wantedResources() (want pod.Resources, leftOut string) {
	switch {
	case !in.pod.Spec.Resources.Empty():
		return pod.Resources{}, denial.ResourcesOfPod
	case user.FromHub(in.pod.Metadata.Labels):
		return pod.Resources{}, denial.ResourcesOfHub
	case in.planner.resources.Empty():
		return pod.Resources{}, denial.TurnedOffByConfig
	}
	have, configured := in.notebook.Resources, in.planner.resources
	return pod.Resources{
		Requests: missingQuantities(have, configured.Requests),
		Limits:   missingQuantities(have, configured.Limits),
	}, ""
}

// missingQuantities returns the configured quantities for which the container has neither a request nor a limit.
func missingQuantities(r *pod.Resources, configured pod.Quantities) pod.Quantities {
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

// withAdded returns the resources r (nil for none) together with the added resources.
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

// guaranteed reports whether the Pod without our init container is of the QoS class Guaranteed: each container has limits
// of CPU and memory, and no requests that differ from them. The resources of the notebook container include those that
// the webhook adds. Ephemeral containers have no resources, and Kubernetes ignores them for the class. For a Pod with
// Pod-level resources the result is false.
func (in *planning) guaranteed() bool {
	for at, c := range in.pod.AllContainers {
		r := c.Resources
		switch {
		case isInit(at, c), at.List == pod.EphemeralContainersPath:
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

// fitInto returns a container's resources, reduced so that they do not exceed the Pod-level resources: the API server
// denies a container with larger ones. A limit without a request is also used as the request, as the API server does.
func fitInto(container, ofPod *pod.Resources) *pod.Resources {
	fits := pod.Resources{Requests: pod.Quantities{}, Limits: pod.Quantities{}}
	maps.Copy(fits.Requests, container.Limits)
	maps.Copy(fits.Requests, container.Requests)
	for name, limit := range container.Limits {
		fits.Limits[name] = smaller(limit, ofPod.Limits[name])
	}
	for name, request := range fits.Requests {
		fits.Requests[name] = smaller(smaller(request, ofPod.Limits[name]), ofPod.Requests[name])
	}
	return &fits
}

// smaller returns the smaller of two quantities. It returns the first if the second is missing, or if parseQuantity returns
// false for one of them.
func smaller(first, second jsontext.Value) jsontext.Value {
	a, okA := parseQuantity(first)
	b, okB := parseQuantity(second)
	if !okA || !okB || a.Cmp(b) <= 0 {
		return first
	}
	return second
}

// boundedQuantity is Kubernetes' grammar of quantities with limits on the number of digits, as package config has for the
// configuration. The requester chooses the exponent, and resource.Quantity computes 10 to the power of the exponent:
// comparing 1e60000000 takes hundreds of megabytes.
var boundedQuantity = regexp.MustCompile(`^"?[+-]?[0-9.]{1,40}([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?"?$`)

// parseQuantity parses a quantity of a Pod. It returns false if the quantity is missing or invalid, or exceeds the limits of
// boundedQuantity.
func parseQuantity(value jsontext.Value) (resource.Quantity, bool) {
	var q resource.Quantity
	ok := boundedQuantity.Match(value) && q.UnmarshalJSON(value) == nil
	return q, ok
}

// isGuaranteed reports whether the resource with a name, such as cpu, has a limit above zero, and either no request or a
// request that equals the limit.
func isGuaranteed(r *pod.Resources, name string) bool {
	if r == nil || r.Limits[name] == nil {
		return false
	}
	limit, ok := parseQuantity(r.Limits[name])
	if !ok || limit.Sign() <= 0 {
		return false
	}
	if r.Requests[name] == nil {
		return true // The API server uses the limit.
	}
	request, ok := parseQuantity(r.Requests[name])
	return ok && request.Cmp(limit) == 0
}

func (p resourcesPiece) reconcile(_ *pod.Pod, c *changes) {
	m := member{p.container, true, "resources"}
	has := p.leftOut == "" && p.want.Empty() || p.leftOut != "" && !p.have.Empty()
	c.putDefault(m, has, p.leftOut, func() { putResources(c, m.at(), p.have, &p.want) })
}

// putResources adds the wanted requests and limits. Other fields of the resources, such as claims, stay.
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

// quantity returns a configured quantity as JSON, in Kubernetes' canonical form.
func quantity(q resource.Quantity) jsontext.Value { return jsontext.Value(strconv.Quote(q.String())) }

// resourcesOf converts configured resources to those of package pod.
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
