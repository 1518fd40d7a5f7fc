package check

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// renderedAnnotation is the annotation in which the chart writes the release and a hash of the values that an object was
// rendered from.
const renderedAnnotation = "jupyter-user.io/rendered"

// policiesAsWanted compares the installed policies and bindings with the wanted objects, which are those of the manifest.
// The policies decide which requester may be which user, also while the webhook is down. A policy without its binding has
// no effect, and a binding that only warns, or that matches fewer objects, denies less.
func policiesAsWanted(ctx context.Context, s *state) []Finding {
	return append(s.compare(ctx, policies), s.compare(ctx, bindings)...)
}

// webhooksAsWanted compares the installed MutatingWebhookConfiguration and ValidatingWebhookConfiguration with the wanted
// objects, because these configurations decide which Pods reach the webhook.
func webhooksAsWanted(ctx context.Context, s *state) []Finding {
	return append(s.compare(ctx, mutatingWebhooks), s.compare(ctx, validatingWebhooks)...)
}

// compare compares the installed objects of a kind with the wanted objects. It reports objects that are missing, differ,
// are being deleted or are left over. An added field is a difference too, because an attacker can weaken a policy by an
// additional condition.
func (s *state) compare(ctx context.Context, what string) (found []Finding) {
	installed := map[string]unstructured.Unstructured{}
	for _, object := range s.installed[what].Items {
		installed[object.GetName()] = object
	}
	all := s.Manifest.ofKind(installedKinds[what])
	for _, want := range all {
		where := want.GetKind() + " " + want.GetName()
		have, there := installed[want.GetName()]
		delete(installed, want.GetName())
		if !there {
			found = append(found, failed(where, "is missing: %s", s.installAgain()))
			continue
		}
		found = append(found, s.compareOne(ctx, what, want, have)...)
		if have.GetDeletionTimestamp() != nil {
			found = append(found, failed(where, "is being deleted"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(installed)) {
		if isOurs(installed[name]) {
			found = append(found, warning(installedKinds[what]+" "+name, "is not part of %s: it is left over from another "+
				"release, or was created by hand: kubectl delete %s %s", s.Manifest.from, strings.ToLower(installedKinds[what]), name))
		}
	}
	if len(found) == 0 {
		found = append(found, ok("", "as in %s: %s", s.Manifest.from, count(len(all), installedKinds[what])))
	}
	return found
}

// compareOne compares an object with the wanted object. If they differ, it sends the wanted object to the API server in a
// dry run, because only the API server knows which fields it adds itself. Without the right to the dry run, the message
// says that the API server may have added fields. The dry run is an update with the whole object, because an apply would
// keep list elements that other field managers have added.
func (s *state) compareOne(ctx context.Context, what string, want, have unstructured.Unstructured) []Finding {
	where := want.GetKind() + " " + want.GetName()
	if len(drift(want, have)) == 0 {
		return nil
	}
	stored := want.DeepCopy()
	stored.SetResourceVersion(have.GetResourceVersion())
	hint := ""
	switch err := s.dryRun(ctx, stored); {
	case apierrors.IsForbidden(err):
		stored, hint = &want, " (without the right to update it in a dry run, this check cannot tell which fields the API "+
			"server added itself)"
	case err != nil:
		return []Finding{unknown(where, "the API server rejected the rendered object in a dry run: %s", oneLine(err))}
	}
	changed := drift(*stored, have)
	if len(changed) == 0 {
		return nil
	}
	why := "was changed by hand"
	if is, wants := have.GetAnnotations()[renderedAnnotation], want.GetAnnotations()[renderedAnnotation]; is != wants {
		why = fmt.Sprintf("is of another release or other values (%q, not %q)", is, wants)
	}
	return []Finding{failed(where, "%s, not as in %s: %s%s: %s", why, s.Manifest.from, firstFew(changed), hint,
		s.repair(what, []string{have.GetName()}))}
}

// drift returns the differences between an object and the wanted object, in the fields spec and webhooks, and in the labels
// and annotations that the chart renders. It ignores renderedAnnotation. It also ignores each caBundle: each cluster has
// its own CA, which the check "certificate" judges.
func drift(want, have unstructured.Unstructured) (found []string) {
	w, h := want.DeepCopy().Object, have.DeepCopy().Object
	for _, entry := range append(objects(w["webhooks"]), objects(h["webhooks"])...) {
		unstructured.RemoveNestedField(entry, "clientConfig", "caBundle")
	}
	for _, field := range []string{"spec", "webhooks"} {
		found = append(found, differences(field, w[field], h[field])...)
	}
	labels, annotations := have.GetLabels(), have.GetAnnotations()
	for key, value := range want.GetLabels() {
		found = append(found, differences("metadata.labels["+key+"]", value, labels[key])...)
	}
	for key, value := range want.GetAnnotations() {
		if key != renderedAnnotation {
			found = append(found, differences("metadata.annotations["+key+"]", value, annotations[key])...)
		}
	}
	slices.Sort(found)
	return found
}

// differences returns the differences between two documents, as texts that begin with the path of the field. The parameter
// path is the path of the documents themselves.
func differences(path string, want, have any) (found []string) {
	if equality.Semantic.DeepEqual(want, have) {
		return nil
	}
	if w, h, are := bothOf[map[string]any](want, have); are {
		keys := maps.Clone(w)
		maps.Copy(keys, h)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			found = append(found, differences(path+"."+key, w[key], h[key])...)
		}
		return found
	}
	if w, h, are := bothOf[string](want, have); are && len(w)+len(h) > 100 {
		// For a long expression, show the part that begins at the first difference.
		same := 0
		for same < min(len(w), len(h)) && w[same] == h[same] {
			same++
		}
		return []string{path + " differs: " + valueText(h[same:]) + " in place of " + valueText(w[same:])}
	}
	w, h, lists := bothOf[[]any](want, have)
	switch {
	case have == nil:
		return []string{path + " is missing"}
	case want == nil:
		return []string{path + " was added: " + valueText(have)}
	case !lists:
		return []string{path + " is " + valueText(have) + ", not " + valueText(want)}
	case len(w) != len(h):
		return []string{fmt.Sprintf("%s has %d elements, not %d", path, len(h), len(w))}
	}
	for i := range w {
		found = append(found, differences(fmt.Sprintf("%s[%s]", path, element(w[i], i)), w[i], h[i])...)
	}
	return found
}

func bothOf[T any](want, have any) (w, h T, are bool) {
	w, isW := want.(T)
	h, isH := have.(T)
	return w, h, isW && isH
}

// objects returns the elements of a list that are objects.
func objects(value any) (found []map[string]any) {
	list, _ := value.([]any)
	for _, element := range list {
		if object, is := element.(map[string]any); is {
			found = append(found, object)
		}
	}
	return found
}

// element returns the name of a list element, or else its index.
func element(value any, i int) string {
	if object, is := value.(map[string]any); is {
		if name, is := object["name"].(string); is {
			return name
		}
	}
	return fmt.Sprint(i)
}

// valueText returns a value as JSON for a message, cut at 120 bytes.
func valueText(value any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return oneLine(err)
	}
	return denial.Cut(strings.TrimSpace(text.String()), 120)
}
