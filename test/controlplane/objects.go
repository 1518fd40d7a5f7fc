package controlplane

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// ignoredResources lists resources whose objects Kubernetes itself creates and deletes.
var ignoredResources = []string{"events", "leases", "componentstatuses"}

// Objects returns all objects of the cluster that match a label selector, as "configmaps lab/name". It leaves out the
// objects of ignoredResources, and objects that are being deleted.
func (c *ControlPlane) Objects(ctx context.Context, selector string) (found []string, err error) {
	config := rest.CopyConfig(c.Admin.Config)
	config.WarningHandler = rest.NoWarnings{} // The API server warns about deprecated versions.
	discoverer, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the API server: %w", err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the API server: %w", err)
	}
	lists, err := discoverer.ServerPreferredResources()
	if err != nil {
		return nil, fmt.Errorf("ask which resources there are: %w", err)
	}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("read which resources there are: %w", err)
		}
		for _, resource := range list.APIResources {
			if !slices.Contains(resource.Verbs, "list") || slices.Contains(ignoredResources, resource.Name) {
				continue
			}
			objects, err := client.Resource(version.WithResource(resource.Name)).List(ctx, metav1.ListOptions{LabelSelector: selector})
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", resource.Name, err)
			}
			for _, object := range objects.Items {
				if object.GetDeletionTimestamp() == nil {
					found = append(found, resource.Name+" "+strings.TrimPrefix(object.GetNamespace()+"/"+object.GetName(), "/"))
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}
