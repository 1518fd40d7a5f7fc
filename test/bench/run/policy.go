package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/test/bench/handlers"
)

// inCorePolicy returns a MutatingAdmissionPolicy that has the same effect as the webhook on the small Pod: the API server
// applies the same operations in CEL, with the user's name from the label.
func inCorePolicy() string {
	var operations []string
	for _, o := range handlers.Operations(user) {
		var value any
		raw, err := json.Marshal(o.Value)
		if err == nil {
			err = json.Unmarshal(raw, &value)
		}
		if err != nil {
			panic(err) // The webhook's operations can always be decoded.
		}
		operations = append(operations, fmt.Sprintf("JSONPatch{op: %q, path: %q, value: %s}", o.Operation, o.Path, cel(value)))
	}
	expression := "[\n" + strings.Join(operations, ",\n") + "\n]"
	return `apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: bench.example}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods]}]
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ` + inCore + `}}
  mutations:
  - patchType: JSONPatch
    jsonPatch: {expression: ` + strconv.Quote(expression) + `}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: bench.example}
spec: {policyName: bench.example}
`
}

// cel returns a JSON value as a CEL expression, in which the label replaces the user's name. It wraps maps, lists and their
// elements in dyn, because kube-apiserver 1.36 panics at a list of typed literals.
func cel(value any) string {
	switch v := value.(type) {
	case string:
		parts := strings.Split(v, user)
		for i := range parts {
			parts[i] = strconv.Quote(parts[i])
		}
		return strings.Join(parts, ` + object.metadata.labels["jupyter-user"] + `)
	case map[string]any:
		var fields []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			fields = append(fields, strconv.Quote(key)+": dyn("+cel(v[key])+")")
		}
		return "dyn({" + strings.Join(fields, ", ") + "})"
	case []any:
		var elements []string
		for _, e := range v {
			elements = append(elements, "dyn("+cel(e)+")")
		}
		return "dyn([" + strings.Join(elements, ", ") + "])"
	case float64:
		return strconv.FormatInt(int64(v), 10)
	}
	return fmt.Sprint(value)
}

// isPolicy reports whether the template with this name has the Namespace, or policies with their bindings.
func isPolicy(name string) bool {
	return strings.HasPrefix(name, "6") || strings.HasPrefix(name, "00-namespace")
}
