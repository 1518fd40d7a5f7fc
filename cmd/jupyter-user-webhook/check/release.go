package check

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// installAgain returns advice on how to install the chart's objects again, with the given values of the chart changed. For
// a Helm release, the advice is a helm command that keeps the release's other values. Otherwise it recommends
// deploy/install.yaml only if the installation has the defaults of that file: Enforce mode, in every namespace.
func (s *state) installAgain(values ...string) string {
	if name, namespace, is := s.release(); is {
		command := fmt.Sprintf("helm upgrade %s deploy/chart --namespace %s --reset-then-reuse-values", name, namespace)
		for _, value := range values {
			command += " --set '" + value + "'"
		}
		return command
	}
	switch {
	case len(values) > 0:
		return "apply the chart rendered with your values and " + strings.Join(values, ", ")
	case s.mode() == config.ModeWarn || len(s.wantedScope()) > 0:
		return "apply the chart rendered with your values: deploy/install.yaml has the default values, and would enforce in " +
			"every namespace"
	}
	return "helm upgrade, or kubectl apply -f deploy/install.yaml"
}

// repair returns the advice for objects that differ from those of the release: install again, and delete the objects first
// if that does not help. The commands of installAgain alone may not help, because they keep fields that other field
// managers have written, or fail because of such fields.
func (s *state) repair(what string, names []string, values ...string) string {
	return fmt.Sprintf("%s. If the difference remains, another field manager has written it: first kubectl delete %s %s, "+
		"during which it is not in effect",
		s.installAgain(values...), strings.ToLower(installedKinds[what]), strings.Join(names, " "))
}

// release returns the name and the namespace of the Helm release, from the annotations of the installed objects.
func (s *state) release() (name, namespace string, is bool) {
	for _, object := range s.installedObjects() {
		annotations := object.GetAnnotations()
		name, namespace = annotations["meta.helm.sh/release-name"], annotations["meta.helm.sh/release-namespace"]
		// The name and the namespace become part of a command that an admin copies, so they must be plain names.
		valid := len(validation.IsDNS1123Subdomain(name))+len(validation.IsDNS1123Label(namespace)) == 0
		if object.GetLabels()["app.kubernetes.io/managed-by"] == "Helm" && valid {
			return name, namespace, true
		}
	}
	return "", "", false
}

// installedObjects returns the objects of the chart that were read.
func (s *state) installedObjects() (found []metav1.Object) {
	for i := range s.configMaps.Items {
		if m := &s.configMaps.Items[i]; m.Name == webhookName {
			found = append(found, m)
		}
	}
	found = append(found, &s.deployment, &s.service)
	for _, list := range s.installed {
		for i := range list.Items {
			if isOurs(list.Items[i]) {
				found = append(found, &list.Items[i])
			}
		}
	}
	return found
}
