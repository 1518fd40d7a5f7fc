package integration

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// quantities reads "cpu=1 memory=2Gi".
func quantities(text string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for _, pair := range strings.Fields(text) {
		name, quantity, _ := strings.Cut(pair, "=")
		list[corev1.ResourceName(name)] = resource.MustParse(quantity)
	}
	return list
}

// resources are requests and limits, each as quantities reads them; without any, there is no list.
func resources(requests, limits string) (r corev1.ResourceRequirements) {
	if requests != "" {
		r.Requests = quantities(requests)
	}
	if limits != "" {
		r.Limits = quantities(limits)
	}
	return r
}

// texts are quantities in their canonical form, which is the same for equal ones.
func texts(list corev1.ResourceList) map[string]string {
	m := map[string]string{}
	for name, quantity := range list {
		m[string(name)] = quantity.String()
	}
	return m
}

// forEach puts a name where a text has a percent sign.
func forEach(text, name string) string { return strings.ReplaceAll(text, "%", name) }
