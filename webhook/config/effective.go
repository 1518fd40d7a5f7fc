package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Generation returns a hash of the effective configuration, as 12 hexadecimal digits. Equal configurations have equal
// generations, however their files are written. An annotation of each injected Pod has the generation, so that the verifier
// knows under which configuration the Pod was injected. The hash does not contain the mode, because the injection does not
// depend on the mode. So while the mode is being changed, replicas with either mode accept injected Pods.
func (c *Config) Generation() string {
	hash := sha256.New()
	all := canonical(reflect.ValueOf(c).Elem()).(map[string]any)
	delete(all, "mode")
	// Encoding these values and writing to a hash cannot fail.
	_ = json.NewEncoder(hash).Encode(all)
	return hex.EncodeToString(hash.Sum(nil)[:6])
}

// canonical returns a value for JSON. Equal quantities become the same text, and a nil list or map becomes an empty list or
// map.
func canonical(v reflect.Value) any {
	if q, ok := v.Interface().(resource.Quantity); ok {
		return canonicalQuantity(q)
	}
	switch v.Kind() {
	case reflect.Struct:
		members := map[string]any{}
		for f, member := range v.Fields() {
			members[keyOf(f)] = canonical(member)
		}
		return members
	case reflect.Map:
		members := map[string]any{}
		for key, value := range v.Seq2() {
			members[key.String()] = canonical(value)
		}
		return members
	case reflect.Slice:
		elements := []any{}
		for _, element := range v.Seq2() {
			elements = append(elements, canonical(element))
		}
		return elements
	default:
		return v.Interface()
	}
}

// canonicalQuantity returns the same text for equal quantities, such as 1, 1000m and 1.0, or 1Gi and 1073741824.
func canonicalQuantity(q resource.Quantity) string {
	amount := q.DeepCopy()
	number, _ := new(big.Rat).SetString(amount.AsDec().String())
	return number.RatString()
}

// YAML returns the effective configuration as a file that Parse reads, with its keys in the order of the fields in the Go
// types.
func (c *Config) YAML() ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(yamlNode(reflect.ValueOf(c).Elem())); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

func yamlNode(v reflect.Value) *yaml.Node {
	if q, ok := v.Interface().(resource.Quantity); ok {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: q.String()}
	}
	switch v.Kind() {
	case reflect.Struct:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for f, member := range v.Fields() {
			n.Content = append(n.Content, textNode(keyOf(f)), yamlNode(member))
		}
		return n
	case reflect.Map:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range slices.SortedFunc(slices.Values(v.MapKeys()), byText) {
			n.Content = append(n.Content, textNode(key.String()), yamlNode(v.MapIndex(key)))
		}
		return n
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, element := range v.Seq2() {
			n.Content = append(n.Content, yamlNode(element))
		}
		return n
	case reflect.String:
		return textNode(v.String())
	default:
		n := &yaml.Node{}
		_ = n.Encode(v.Interface())
		return n
	}
}

func byText(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) }

// A text is written without quotes if unquoted matches the text and yamlKeywords does not. yamlKeywords matches words that
// YAML, or an older version of YAML, reads as a boolean or null.
var (
	unquoted     = regexp.MustCompile(`^[A-Za-z/]([A-Za-z0-9._/:@-]*[A-Za-z0-9._/@-])?$`)
	yamlKeywords = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null)$`)
)

func textNode(value string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
	if !unquoted.MatchString(value) || yamlKeywords.MatchString(value) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
