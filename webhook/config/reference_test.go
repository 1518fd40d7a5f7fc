package config_test

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

const referenceFile = "testdata/reference.yaml"

func TestReferenceEqualsDefaults(t *testing.T) {
	parsed, err := config.Parse([]byte(read(t, referenceFile)))
	require.NoError(t, err)
	assert.Equal(t, config.Default(), parsed)
}

// An example in testdata/reference.yaml is commented out: its first line begins with "#-", and its other lines begin with
// "#  key:".
var (
	emptyList = regexp.MustCompile(`(?m)^( *[A-Za-z]+:) \[\]\n( *)#-`)
	example   = regexp.MustCompile(`(?m)^( *)#(-| {2}[a-z][A-Za-z]*:)`)
)

// withExamples returns testdata/reference.yaml with its examples as YAML: without their #, and without the [] before them.
func withExamples(t *testing.T) string {
	reference := read(t, referenceFile)
	reference = emptyList.ReplaceAllString(reference, "$1\n$2#-")
	return example.ReplaceAllString(reference, "$1$2")
}

func TestReferenceExamplesAreValid(t *testing.T) {
	// ldap.urls requires users.baseDN, which is empty by default.
	parsed, err := config.Parse([]byte(strings.Replace(withExamples(t), `baseDN: ""`, "baseDN: ou=people,dc=example,dc=com", 1)))
	require.NoError(t, err)
	assert.Equal(t, []string{"ldaps://ldap.example.com"}, parsed.Identity.LDAP.URLs)
	assert.Equal(t, []string{"corp.example"}, parsed.User.Domains)
	assert.Equal(t, []string{"build"}, parsed.User.Reserved)
	assert.Equal(t, []config.Directory{{SubPath: "datasets", MountPath: "/data/hpc/datasets", Access: config.AccessReadOnly}}, parsed.Share.Directories)
	assert.Equal(t, []int64{2000}, parsed.Identity.DeniedGIDs)
	assert.Equal(t, []int64{100}, parsed.Identity.ImageGroups)
	assert.Equal(t, []string{"jupyter-user-webhook:v0.0.9"}, parsed.Init.AcceptedImages)
	assert.Equal(t, []string{"registry-credentials"}, parsed.Init.ImagePullSecrets)
	assert.Equal(t, []config.Start{{
		Image:      "registry.example/science/*",
		Entrypoint: []string{"/usr/bin/tini", "--"},
		Command:    []string{"jupyter", "lab", "--no-browser"},
	}}, parsed.Notebook.Starts)
}

// TestReferenceKeys tests that testdata/reference.yaml has a key for each field of the Go types, in the same order.
func TestReferenceKeys(t *testing.T) {
	var document yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(withExamples(t)), &document))
	assert.Equal(t, keysOfType(reflect.TypeFor[config.Config](), ""), keysOfNode(document.Content[0], ""))
}

func keysOfType(t reflect.Type, path string) []string {
	switch {
	case t == reflect.TypeFor[resource.Quantity]() || t == reflect.TypeFor[corev1.ResourceList]():
		return nil
	case t.Kind() == reflect.Slice:
		return keysOfType(t.Elem(), path)
	case t.Kind() != reflect.Struct:
		return nil
	}
	var keys []string
	for f := range t.Fields() {
		key := path + "." + f.Tag.Get("json")
		keys = append(append(keys, key), keysOfType(f.Type, key)...)
	}
	return keys
}

func keysOfNode(n *yaml.Node, path string) []string {
	if n.Kind == yaml.SequenceNode {
		return keysOfNode(n.Content[0], path)
	}
	var keys []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := path + "." + n.Content[i].Value
		keys = append(keys, key)
		// The keys of requests and limits are names of resources.
		if !strings.HasSuffix(path, ".resources") {
			keys = append(keys, keysOfNode(n.Content[i+1], key)...)
		}
	}
	return keys
}
