package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/webhook/answer"
)

// shipped are the objects of a kind in deploy/.
func shipped(kind string) (found []unstructured.Unstructured, err error) {
	for _, file := range deploy.Files() {
		text, err := deploy.Read(file)
		if err != nil {
			return nil, err
		}
		for _, document := range strings.Split(text, "\n---\n") {
			var object unstructured.Unstructured
			raw, err := yaml.YAMLToJSON([]byte(document))
			if err == nil {
				err = object.UnmarshalJSON(raw)
			}
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", file, err)
			}
			if object.GetKind() == kind {
				found = append(found, object)
			}
		}
	}
	return found, nil
}

// compare holds what is installed of a kind against what is shipped: everything has to be there, and the same, with
// nothing added. An attacker takes nothing out, but adds a condition. Mode and namespaces may be others, in all places alike.
func (s *state) compare(what string) (found []Finding) {
	wanted, err := shipped(installedKinds[what])
	if err != nil {
		return []Finding{unknown("", "%s", oneLine(err))}
	}
	installed := map[string]unstructured.Unstructured{}
	for _, object := range s.installed[what].Items {
		installed[object.GetName()] = object
	}
	for _, want := range wanted {
		where := want.GetKind() + " " + want.GetName()
		have, there := installed[want.GetName()]
		if !there {
			found = append(found, failed(where, "is not there: %s", s.installAnew()))
			continue
		}
		if what == policies && s.otherValues() {
			found = append(found, unknown(where, "is rendered from other values than this program ships: whether it is as the chart "+
				"has it is seen by comparing it with helm get manifest"))
			continue
		}
		placed, err := s.asPlaced(want, have)
		if err != nil {
			found = append(found, unknown(where, "cannot be compared with what is shipped: %s", oneLine(err)))
			continue
		}
		if changed := differences("", comparable(placed), comparable(have.Object)); len(changed) > 0 {
			found = append(found, failed(where, "is not as this release ships it: %s: %s, or use the program of the release "+
				"that is installed", some(changed), s.mend(what, []string{want.GetName()})))
		}
		if have.GetDeletionTimestamp() != nil {
			found = append(found, failed(where, "is being deleted"))
		}
	}
	found = append(found, s.misplaced(what)...)
	if len(found) == 0 && len(wanted) > 0 {
		found = append(found, ok("", "as shipped%s: %s", s.by(what), count(len(wanted), installedKinds[what])))
	}
	return found
}

// comparable is what matters of an object: what it does, with the defaults that an API server fills in, and without what is
// empty. The CA of a webhook is each cluster's own, and looked at by another check.
func comparable(object map[string]any) map[string]any {
	kept := map[string]any{}
	for _, field := range []string{"spec", "webhooks"} {
		if value, there := object[field]; there {
			kept[field] = value
		}
	}
	copied := (&unstructured.Unstructured{Object: kept}).DeepCopy().Object
	if spec, is := copied["spec"].(map[string]any); is {
		if _, of := spec["policyName"]; !of {
			fill(spec, "failurePolicy", "Fail")
		}
		fillMatch(spec["matchConstraints"])
		fillMatch(spec["matchResources"])
	}
	for _, webhook := range objects(copied["webhooks"]) {
		fillWebhook(webhook)
	}
	pruned, _ := prune(copied).(map[string]any)
	return pruned
}

func fillMatch(value any) {
	match, is := value.(map[string]any)
	if !is {
		return
	}
	fill(match, "matchPolicy", "Equivalent")
	fillScopes(match["resourceRules"])
	fillScopes(match["excludeResourceRules"])
}

func fillScopes(rules any) {
	for _, rule := range objects(rules) {
		fill(rule, "scope", "*")
	}
}

func fillWebhook(webhook map[string]any) {
	fill(webhook, "failurePolicy", "Fail")
	fill(webhook, "matchPolicy", "Equivalent")
	fill(webhook, "reinvocationPolicy", "Never")
	fill(webhook, "timeoutSeconds", int64(10))
	fillScopes(webhook["rules"])
	if client, is := webhook["clientConfig"].(map[string]any); is {
		delete(client, "caBundle")
		if service, is := client["service"].(map[string]any); is {
			fill(service, "port", int64(443))
		}
	}
}

func fill(object map[string]any, field string, value any) {
	if _, there := object[field]; !there {
		object[field] = value
	}
}

func objects(value any) (found []map[string]any) {
	list, _ := value.([]any)
	for _, element := range list {
		if object, is := element.(map[string]any); is {
			found = append(found, object)
		}
	}
	return found
}

// prune takes out what is empty: in these objects it says the same as nothing.
func prune(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, element := range v {
			if v[key] = prune(element); v[key] == nil {
				delete(v, key)
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	}
	return value
}

// differences are the places where two documents are not the same.
func differences(at string, want, have any) (found []string) {
	if equality.Semantic.DeepEqual(want, have) {
		return nil
	}
	w, h, objects := both[map[string]any](want, have)
	if objects && strings.HasSuffix(at, "Selector") {
		return []string{at + " is another: " + written(h)}
	}
	if objects {
		keys := maps.Clone(w)
		maps.Copy(keys, h)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			found = append(found, differences(strings.TrimPrefix(at+"."+key, "."), w[key], h[key])...)
		}
		return found
	}
	wl, hl, lists := both[[]any](want, have)
	if !lists || len(wl) != len(hl) {
		return []string{described(at, want, have)}
	}
	for i := range wl {
		found = append(found, differences(fmt.Sprintf("%s[%s]", at, element(wl[i], i)), wl[i], hl[i])...)
	}
	return found
}

func both[T any](want, have any) (w, h T, are bool) {
	w, isW := want.(T)
	h, isH := have.(T)
	return w, h, isW && isH
}

// element of a list, by its name where it has one.
func element(value any, i int) string {
	if object, is := value.(map[string]any); is {
		if name, is := object["name"].(string); is {
			return name
		}
	}
	return fmt.Sprint(i)
}

func described(at string, want, have any) string {
	wl, hl, lists := both[[]any](want, have)
	switch {
	case have == nil:
		return at + " is missing"
	case want == nil && selects(at):
		return at + " was added: " + written(have)
	case want == nil:
		return at + " was added"
	case lists:
		return fmt.Sprintf("%s has %d elements, not %d", at, len(hl), len(wl))
	}
	return at + " is another"
}

// selects tells whether a place in a document says by labels what is left out.
func selects(at string) bool {
	return strings.HasSuffix(at, "Selector") || strings.HasSuffix(at, ".matchResources")
}

// written is what a selector says. One that is not of the chart is not taken for good, and not kept from whoever looks.
func written(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return oneLine(err)
	}
	return answer.Cut(string(text), 300)
}
