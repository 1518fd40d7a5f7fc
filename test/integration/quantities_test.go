package integration

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// quantities parses a text such as "cpu=1 memory=2Gi".
func quantities(text string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for _, pair := range strings.Fields(text) {
		name, quantity, _ := strings.Cut(pair, "=")
		list[corev1.ResourceName(name)] = resource.MustParse(quantity)
	}
	return list
}

// resources returns the requests and limits of two texts such as "cpu=1 memory=2Gi". An empty text gives no list.
func resources(requests, limits string) (r corev1.ResourceRequirements) {
	if requests != "" {
		r.Requests = quantities(requests)
	}
	if limits != "" {
		r.Limits = quantities(limits)
	}
	return r
}

// canonicalTexts returns quantities in their canonical form. Equal quantities that both have a binary suffix, or both a decimal
// suffix, have the same text then.
func canonicalTexts(list corev1.ResourceList) map[string]string {
	m := map[string]string{}
	for name, quantity := range list {
		m[string(name)] = quantity.String()
	}
	return m
}

func replacePercent(text, name string) string { return strings.ReplaceAll(text, "%", name) }
