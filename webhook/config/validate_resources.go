package config

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateResources denies resources that the API server would deny in every Pod. It also denies amounts of 0, and amounts
// that are not whole bytes or whole thousandths of a CPU. It does not deny huge pages without cpu and memory beside them, because
// the Pod or a LimitRange can have these.
func validateResources(r *Resources, path *field.Path) field.ErrorList {
	errs := validateResourceList(r.Requests, path.Child("requests"))
	errs = append(errs, validateResourceList(r.Limits, path.Child("limits"))...)
	for _, name := range slices.Sorted(maps.Keys(r.Requests)) {
		request, at := r.Requests[name], path.Child("requests").Key(string(name))
		limit, limited := r.Limits[name]
		switch {
		case resourceNameFault(name) != "":
			// validateResourceList has added an error for this name.
		case limited && request.Cmp(limit) > 0:
			errs = append(errs, field.Invalid(at, request.String(), "must not be more than the limit, "+limit.String()))
		case !overcommitted(name) && (!limited || request.Cmp(limit) != 0):
			errs = append(errs, field.Invalid(at, request.String(), "must have a limit of the same value: Kubernetes "+
				"overcommits cpu, memory and ephemeral-storage alone"))
		}
	}
	return errs
}

func validateResourceList(list corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		quantity, at := list[name], path.Key(string(name))
		if why := resourceNameFault(name); why != "" {
			errs = append(errs, field.Invalid(at, name, why))
		} else if why := amountFault(name, quantity); why != "" {
			errs = append(errs, field.Invalid(at, quantity.String(), why))
		}
	}
	return errs
}

func overcommitted(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		return true
	}
	return false
}

func resourceNameFault(name corev1.ResourceName) string {
	domain, _, extended := strings.Cut(string(name), "/")
	switch {
	case overcommitted(name):
		return ""
	case len(content.IsLabelKey(string(name))) > 0, strings.HasPrefix(string(name), "requests."):
	case isHugePages(name) && !extended:
		if _, ok := pageSize(name); !ok {
			return "must have the size of a page, such as hugepages-2Mi"
		}
		return ""
	case extended && domain != "kubernetes.io" && !strings.HasSuffix(domain, ".kubernetes.io"):
		return ""
	}
	return "must be a resource of containers: cpu, memory, ephemeral-storage, hugepages-<size>, or a device plugin's, " +
		"such as nvidia.com/gpu"
}

func amountFault(name corev1.ResourceName, amount resource.Quantity) string {
	switch {
	case amount.Sign() <= 0:
		return "must be more than 0; remove the resource to ask for none"
	case name == corev1.ResourceCPU && !multipleOf(amount, resource.Milli):
		return "must be whole thousandths of a CPU, such as 500m"
	case name == corev1.ResourceCPU:
		return ""
	case isHugePages(name) && !wholePages(name, amount):
		return "must be a whole number of pages, whose size is in the name, such as 4Mi of hugepages-2Mi"
	case wholeBytes(amount):
		return ""
	case overcommitted(name):
		return "must be whole bytes; m is a thousandth, and Mi is 1024 times 1024"
	}
	return "must be a whole number"
}

func isHugePages(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// pageSize returns the size in the name of a resource of huge pages, in bytes. ok is false if the size is no whole number
// above 0.
func pageSize(name corev1.ResourceName) (bytes int64, ok bool) {
	size, err := resource.ParseQuantity(strings.TrimPrefix(string(name), corev1.ResourceHugePagesPrefix))
	if err != nil || size.Sign() <= 0 || !wholeBytes(size) {
		return 0, false
	}
	return size.Value(), true
}

// wholePages reports whether an amount of huge pages is a multiple of their size.
func wholePages(name corev1.ResourceName, amount resource.Quantity) bool {
	size, ok := pageSize(name)
	return ok && amount.Value()%size == 0
}

func wholeBytes(amount resource.Quantity) bool { return multipleOf(amount, 0) }

func multipleOf(amount resource.Quantity, scale resource.Scale) bool {
	rounded := amount.DeepCopy()
	return rounded.RoundUp(scale)
}
