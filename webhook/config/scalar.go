package config

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// scalar decodes text, booleans and numbers strictly. A number is not text, the words "yes" and "on" are not booleans, and
// a number in quotes is not a number. A lenient decoder would misread a user's name such as "1e3" or "no".
func (d *decoder) scalar(n *yaml.Node, path *field.Path, out reflect.Value) {
	fault := ""
	switch out.Kind() {
	case reflect.String:
		fault = setText(n, out)
	case reflect.Bool:
		fault = setBool(n, out)
	case reflect.Int, reflect.Int32, reflect.Int64:
		fault = setInteger(n, out)
	default:
		panic("config: a field of a type that no file can hold: " + out.Type().String())
	}
	if fault != "" {
		d.fail(path, "%s", fault)
	}
}

func setText(n *yaml.Node, out reflect.Value) string {
	switch {
	case n.Kind != yaml.ScalarNode:
		return "must be text, but is " + describeNode(n)
	case n.Tag == "!!int" || n.Tag == "!!float" || n.Tag == "!!bool":
		return fmt.Sprintf("must be text, but is %s; write it in quotes", describeNode(n))
	}
	out.SetString(n.Value)
	return ""
}

func setBool(n *yaml.Node, out reflect.Value) string {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		return "must be true or false, but is " + describeNode(n)
	}
	out.SetBool(n.Value[0] == 't' || n.Value[0] == 'T')
	return ""
}

// decimal matches a decimal number. It excludes numbers that YAML versions read differently: 0644, 0o644, 0x1A4, 1_000.
var decimal = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

func setInteger(n *yaml.Node, out reflect.Value) string {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" && n.Tag != "!!float" {
		return "must be a whole number, without quotes, but is " + describeNode(n)
	}
	if !decimal.MatchString(n.Value) {
		return "must be a whole number, in decimal digits only and without a leading zero, but is " + denial.Cut(n.Value, 40)
	}
	number, err := strconv.ParseInt(n.Value, 10, out.Type().Bits())
	if err != nil {
		return fmt.Sprintf("must be a number of %d bits, but is %s", out.Type().Bits(), denial.Cut(n.Value, 40))
	}
	out.SetInt(number)
	return ""
}

var quantityType = reflect.TypeFor[resource.Quantity]()

// quantityText is Kubernetes' grammar of quantities, without the forms +1, 1. and .5, and with limits on the number of
// digits: resource.ParseQuantity takes 42 seconds for 1e-99999999.
var quantityText = regexp.MustCompile(`^-?[0-9]{1,20}(\.[0-9]{1,20})?([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?$`)

func (d *decoder) quantity(n *yaml.Node, path *field.Path, out reflect.Value) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!bool" {
		d.fail(path, "must be a quantity, such as 500m or 2Gi, but is %s", describeNode(n))
		return
	}
	if !quantityText.MatchString(n.Value) {
		d.fail(path, "must be a quantity, such as 500m or 2Gi, but is %q", denial.Cut(n.Value, 40))
		return
	}
	q, err := resource.ParseQuantity(n.Value)
	switch {
	case err != nil:
		d.fail(path, "must be a quantity, such as 500m or 2Gi: %v", err)
	case q.CmpInt64(math.MaxInt64) >= 0 || q.CmpInt64(-math.MaxInt64) <= 0:
		// ParseQuantity silently reduces 16Ei to the largest int64, and 10E does not fit into an int64.
		d.fail(path, "must be less than 8Ei, but is %s", n.Value)
	default:
		out.Set(reflect.ValueOf(newQuantity(q.String())))
	}
}

// newQuantity returns a quantity whose cached text is filled. Otherwise the first call of Quantity.String would write the text,
// which is a data race, because concurrent admissions read the configuration.
func newQuantity(text string) resource.Quantity {
	q := resource.MustParse(text)
	_ = q.String()
	return q
}
