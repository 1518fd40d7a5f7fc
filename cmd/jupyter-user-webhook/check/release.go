package check

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// installAnew is what brings back what is shipped, with values that are to be others. Whoever has installed by helm has values
// that the other way does not know; and deploy/install.yaml enforces, in every namespace, what may have been meant otherwise.
func (s *state) installAnew(values ...string) string {
	if name, namespace, is := s.release(); is {
		command := fmt.Sprintf("helm upgrade %s deploy/chart --namespace %s --reset-then-reuse-values", name, namespace)
		for _, value := range values {
			command += " --set '" + value + "'"
		}
		return command
	}
	switch {
	case len(values) > 0:
		return "apply what the chart gives with your values and " + strings.Join(values, ", ")
	case s.mode() == config.ModeWarn || len(s.only()) > 0:
		return "apply what the chart gives with your values: deploy/install.yaml has others, and would enforce in every namespace"
	}
	return "helm upgrade, or kubectl apply -f deploy/install.yaml"
}

// mend is installAnew for objects that are there and not as they should be. What somebody else has written into an object is left
// there by both ways, or even denied together with theirs: an object that is made again has none of it.
func (s *state) mend(what string, names []string, values ...string) string {
	return fmt.Sprintf("%s; where it stays so, others have written it: before that, kubectl delete %s %s, which does not hold "+
		"until it is back", s.installAnew(values...), strings.ToLower(installedKinds[what]), strings.Join(names, " "))
}

// release is what helm knows the installation as, by what it writes on each object.
func (s *state) release() (name, namespace string, is bool) {
	for _, object := range s.installedObjects() {
		annotations := object.GetAnnotations()
		name, namespace = annotations["meta.helm.sh/release-name"], annotations["meta.helm.sh/release-namespace"]
		// They become part of a command that somebody copies.
		valid := len(validation.IsDNS1123Subdomain(name))+len(validation.IsDNS1123Label(namespace)) == 0
		if object.GetLabels()["app.kubernetes.io/managed-by"] == "Helm" && valid {
			return name, namespace, true
		}
	}
	return "", "", false
}

// installedObjects are those of ours that were read.
func (s *state) installedObjects() (found []metav1.Object) {
	for i := range s.configMaps.Items {
		if m := &s.configMaps.Items[i]; m.Name == webhookName {
			found = append(found, m)
		}
	}
	found = append(found, &s.deployment, &s.service)
	for _, list := range s.installed {
		for i := range list.Items {
			if ours(list.Items[i]) {
				found = append(found, &list.Items[i])
			}
		}
	}
	return found
}
