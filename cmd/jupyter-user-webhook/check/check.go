// Package check checks in a live cluster whether the webhook's promise holds: no Pod reaches files on the share that its
// user may not reach. It checks what is installed, whether that was changed by hand, and what the cluster must provide.
//
// The objects are read once, at the beginning, and the checks judge them. If an object could not be read, the checks that
// need the object are not done, and their findings are Unknown. Nothing is written: a Pod and rendered objects are sent in
// dry runs only, and the API server does not store access reviews.
package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// Status is the severity of a finding.
type Status string

// The statuses, the worst first.
const (
	// Failed: the webhook's promise does not hold, or notebooks do not start.
	Failed Status = "failed"
	// Unknown: the check could not be done.
	Unknown Status = "unknown"
	// Warning: the admin should know about the finding, which may be intended.
	Warning Status = "warning"
	OK      Status = "ok"
)

// Finding is one result of a check.
type Finding struct {
	// Check is the stable name of the check.
	Check  string `json:"check"`
	Status Status `json:"status"`
	// Where is what the finding is about, such as an object or a namespace. It may be empty.
	Where   string `json:"where,omitempty"`
	Message string `json:"message"`
}

// ErrFailed is the error that Judge returns if a finding is Failed.
var ErrFailed = errors.New("something failed")

// Options select what Run checks, and what it compares the cluster with.
type Options struct {
	// Namespaces are checked in addition to those with the share.
	Namespaces []string
	// Only has the names of the checks to do; empty for all checks.
	Only []string
	// User is the user of the Pod in the dry run.
	User string
	// ShareAddresses are further IP addresses of the share's NFS servers, besides those that the volumes of the share name.
	ShareAddresses []string
	// Version is the version of this program. The webhook should have the same version.
	Version string
	// Manifest has the objects that should be installed; if it is nil, Helm's record of the release is used.
	Manifest *Manifest
}

// checkType is one of the checks: its name, the names of its inputs, and the function that judges these inputs.
type checkType struct {
	id     string
	inputs []string
	judge  func(ctx context.Context, s *state) []Finding
}

// checkTypes are the checks, in the order in which Run does them.
var checkTypes = []checkType{
	{"certificate", []string{certificates, mutatingWebhooks, validatingWebhooks, issuers, issued}, certificate},
	{"mode", append([]string{configuration, parameters, claimsOfAll}, scopedKinds...), modeAndScope},
	{"webhooks", []string{mutatingWebhooks, validatingWebhooks, wanted}, webhooksAsWanted},
	{"reachable", []string{deployments, services, endpointSlices}, reachable},
	{"dry-run", []string{parameters, configuration, claimsOfAll, namespaces}, dryRun},
	{"policies", []string{policies, bindings, wanted}, policiesAsWanted},
	{"parameters", []string{configMaps}, parametersAgree},
	{"claims", append([]string{parameters, claimsOfAll, namespaces}, rbacObjects...), claims},
	{"pod-security", append([]string{parameters, claimsOfAll, namespaces}, rbacObjects...), podSecurity},
	{"hub-pods", []string{configuration, podsOfAll}, hubPods},
	{"share-pods", append([]string{configuration, parameters, podsOfAll, bindings}, rbacObjects...), sharePods},
	{"rbac", append([]string{parameters, claimsOfAll}, rbacObjects...), rbac},
	{"volumes", []string{parameters, volumes, claimsOfAll, storageClasses}, shareVolumes},
	{"egress", append([]string{parameters, volumes, claimsOfAll, namespaces, networkPolicies}, rbacObjects...), egress},
	{"groups", []string{configuration}, groupsOfImages},
	{"nodes", []string{configuration, nodes}, nodesKnowGroups},
	{"versions", []string{nodes, deployments, configuration}, versions},
}

// Run does the checks that the options name. It returns an error if a name is unknown, if the API server does not return
// its version, or if the context ends before the objects are read.
func Run(ctx context.Context, c *Cluster, o Options) ([]Finding, error) {
	checks, err := checksNamed(o.Only)
	if err != nil {
		return nil, err
	}
	s, err := read(ctx, c, o, checks)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, check := range checks {
		findings := s.unreadable(check.inputs)
		if len(findings) == 0 {
			findings = check.judge(ctx, s)
		}
		for _, f := range findings {
			f.Check = check.id
			found = append(found, f.plain())
		}
	}
	return found, nil
}

// checksNamed returns the checks with the given names, or every check if no name is given. Their order is that of
// checkTypes.
func checksNamed(names []string) (checks []checkType, err error) {
	var known []string
	for _, check := range checkTypes {
		known = append(known, check.id)
		if len(names) == 0 || slices.Contains(names, check.id) {
			checks = append(checks, check)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no check %q: the checks are %s", name, strings.Join(known, ", "))
		}
	}
	return checks, nil
}

// Judge returns ErrFailed if a finding is Failed. Otherwise it returns another error if a finding is Unknown, and nil if
// none is Unknown.
func Judge(findings []Finding) error {
	unknown := 0
	for _, f := range findings {
		switch f.Status {
		case Failed:
			return ErrFailed
		case Unknown:
			unknown++
		}
	}
	if unknown > 0 {
		return fmt.Errorf("nothing failed, but the result of %d is unknown", unknown)
	}
	return nil
}

// byStatus returns the findings with the worst first. Findings with the same status keep their order.
func byStatus(findings []Finding) []Finding {
	order := []Status{Failed, Unknown, Warning, OK}
	sorted := slices.Clone(findings)
	slices.SortStableFunc(sorted, func(a, b Finding) int {
		return slices.Index(order, a.Status) - slices.Index(order, b.Status)
	})
	return sorted
}

func ok(where, format string, args ...any) Finding {
	return Finding{Status: OK, Where: where, Message: fmt.Sprintf(format, args...)}
}

func warning(where, format string, args ...any) Finding {
	return Finding{Status: Warning, Where: where, Message: fmt.Sprintf(format, args...)}
}

func failed(where, format string, args ...any) Finding {
	return Finding{Status: Failed, Where: where, Message: fmt.Sprintf(format, args...)}
}

func unknown(where, format string, args ...any) Finding {
	return Finding{Status: Unknown, Where: where, Message: fmt.Sprintf(format, args...)}
}

// plain returns the finding with its texts escaped, because an attacker can choose names of objects in a cluster.
func (f Finding) plain() Finding {
	f.Where, f.Message = plain(f.Where), plain(f.Message)
	return f
}

// maxPrinted is the maximum length of a text before it is escaped, in bytes. A longer text is cut.
const maxPrinted = 1200

// Plain returns a text that is safe to print: cut at maxPrinted, with all characters but printable ASCII escaped.
func Plain(s string) string { return plain(s) }

// plain cuts a text at maxPrinted, and escapes all characters but printable ASCII. An unescaped character could control a
// terminal, break a line or look like another character.
func plain(s string) string {
	s = denial.Cut(s, maxPrinted)
	if strings.HasSuffix(s, "…") {
		s = strings.TrimSuffix(s, "…") + "..."
	}
	return denial.PrintableText(s)
}

// firstFew returns the first five names of a list as text, with the number of further names.
func firstFew(names []string) string { return first(5, names) }

// first returns the first names of a list as text, at most the given number, with the number of further names.
func first(most int, names []string) string {
	if more := len(names) - most; more > 0 {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

// count returns a number with its noun, such as "2 namespaces".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, is := strings.CutSuffix(noun, "y"); is {
		return strconv.Itoa(n) + " " + stem + "ies"
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
