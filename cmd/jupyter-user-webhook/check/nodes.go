package check

import (
	"context"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// nodesKnowGroups checks that the Linux nodes support supplementalGroupsPolicy. A node without support rejects notebooks.
// A node that is too old to know the field adds the groups of the image's /etc/group.
func nodesKnowGroups(_ context.Context, s *state) []Finding {
	if !s.config.Identity.StrictSupplementalGroups {
		return []Finding{warning("", "identity.strictSupplementalGroups is false: an image's /etc/group adds groups to the "+
			"user's")}
	}
	var without []string
	runtimes := map[string]bool{}
	for _, node := range s.nodes.Items {
		if node.Labels["kubernetes.io/os"] == "windows" {
			continue
		}
		runtime := node.Status.NodeInfo.ContainerRuntimeVersion
		runtimes[runtime] = true
		known := node.Status.Features
		if known == nil || known.SupplementalGroupsPolicy == nil || !*known.SupplementalGroupsPolicy {
			without = append(without, node.Name+" ("+runtime+")")
		}
	}
	if len(without) > 0 {
		return []Finding{failed("", "%d of %s do not support supplementalGroupsPolicy, so notebooks do not start there: %s. "+
			"containerd 2.0 and CRI-O 1.31 support it; or set identity.strictSupplementalGroups: "+
			"false", len(without), count(len(s.nodes.Items), "node"), firstFew(without))}
	}
	if len(runtimes) == 0 {
		return []Finding{warning("", "the cluster has no Linux node that notebooks could run on")}
	}
	return []Finding{ok("", "every node supports supplementalGroupsPolicy (%s)", firstFew(slices.Sorted(maps.Keys(runtimes))))}
}

// oldest is the first Kubernetes version that has every feature that the manifests use.
var oldest = version.MustParseGeneric("1.33.0")

// versions checks the versions of the API server, the kubelets, the webhook and its init container.
func versions(_ context.Context, s *state) (found []Finding) {
	server, err := version.ParseGeneric(s.server.GitVersion)
	switch {
	case err != nil:
		found = append(found, unknown("API server", "has a version that cannot be read: %q", s.server.GitVersion))
	case server.LessThan(oldest):
		found = append(found, failed("API server", "is %s, and what the webhook is built on needs 1.33", s.server.GitVersion))
	}
	var older []string
	for _, node := range s.nodes.Items {
		kubelet, err := version.ParseGeneric(node.Status.NodeInfo.KubeletVersion)
		if err != nil || kubelet.LessThan(oldest) {
			older = append(older, node.Name+" ("+node.Status.NodeInfo.KubeletVersion+")")
		}
	}
	if len(older) > 0 {
		found = append(found, warning("", "%s older than 1.33: %s", count(len(older), "kubelet"), firstFew(older)))
	}
	found = append(found, s.images()...)
	if len(found) == 0 {
		found = append(found, ok("", "the API server is %s, and the webhook and its init container are of one image, %s",
			s.server.GitVersion, s.config.Init.Image))
	}
	return found
}

// images checks that the webhook, its init container and this program are of one release.
func (s *state) images() (found []Finding) {
	if s.deployment.Name == "" || len(s.deployment.Spec.Template.Spec.Containers) == 0 {
		return nil
	}
	runs, writes := s.deployment.Spec.Template.Spec.Containers[0].Image, s.config.Init.Image
	if runs != writes {
		found = append(found, warning("", "the Deployment runs %s, and the configuration's init.image is %s: both are one "+
			"image", runs, writes))
	}
	name, _, _ := strings.Cut(runs, "@")
	_, tag, tagged := strings.Cut(name[strings.LastIndex(name, "/")+1:], ":")
	if tagged && s.Version != "dev" && tag != s.Version {
		found = append(found, warning("", "the Deployment runs %s, and this program is %s: the manifests of the two "+
			"releases may differ",
			runs, s.Version))
	}
	return found
}
