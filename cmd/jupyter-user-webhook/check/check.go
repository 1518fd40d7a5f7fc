// Package check looks at a live cluster and says whether the webhook's promise holds there: what is installed, what was
// changed since, and what the cluster has to provide and does not.
//
// Everything is read once, at the beginning, and each check, a file of its own, judges what was read. So a check that may not
// see something says so in one place, and is never taken for one that found nothing. Nothing is ever written: the one Pod
// that is created is a dry run, and the API server's reviews of access leave nothing behind.
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

// Status of a finding.
type Status string

// The statuses, from the worst on.
const (
	// Failed: the promise does not hold, or notebooks do not start.
	Failed Status = "failed"
	// Unknown: it could not be told. It is never as good as OK.
	Unknown Status = "unknown"
	// Warning: somebody should know, and may have meant it so.
	Warning Status = "warning"
	OK      Status = "ok"
)

// Finding is one thing that a check has to say, with what to do about it in its message.
type Finding struct {
	// Check is the stable name of the check.
	Check  string `json:"check"`
	Status Status `json:"status"`
	// Where in the cluster: an object, a namespace; empty where it is about all of it.
	Where   string `json:"where,omitempty"`
	Message string `json:"message"`
}

// ErrFailed ends a command that has told already what failed.
var ErrFailed = errors.New("something failed")

// Options of a check.
type Options struct {
	// Namespaces that are to be looked at beside those that have the share.
	Namespaces []string
	// Only these checks are done; all where none is named.
	Only []string
	// User whose notebook is tried.
	User string
	// Version of this program.
	Version string
	// Manifest is what is to be installed; nil for what Helm has a record of.
	Manifest *Manifest
}

// one check: what it needs to be read, and how it judges that.
type one struct {
	id    string
	needs []string
	judge func(ctx context.Context, s *state) []Finding
}

// all are the checks, in the order in which they are told.
var all = []one{
	{"certificate", []string{certificates, mutatingWebhooks, validatingWebhooks, issuers, issued}, certificate},
	{"mode", append([]string{configuration, parameters, claimsOfAll}, placed...), modeAndNamespaces},
	{"webhooks", []string{mutatingWebhooks, validatingWebhooks, wanted}, webhooksAsWanted},
	{"reachable", []string{deployments, services, endpointSlices}, reachable},
	{"answers", []string{parameters, configuration, claimsOfAll, namespaces}, dryRun},
	{"policies", []string{policies, bindings, wanted}, policiesAsWanted},
	{"parameters", []string{configMaps}, parametersAgree},
	{"claims", append([]string{parameters, claimsOfAll, namespaces}, rbacObjects...), claims},
	{"pod-security", append([]string{parameters, claimsOfAll, namespaces}, rbacObjects...), podSecurity},
	{"hub-pods", []string{configuration, podsOfAll}, hubPods},
	{"rbac", append([]string{parameters, claimsOfAll}, rbacObjects...), rbac},
	{"volumes", []string{parameters, volumes, claimsOfAll, storageClasses}, shareVolumes},
	{"egress", append([]string{parameters, volumes, claimsOfAll, namespaces, networkPolicies}, rbacObjects...), egress},
	{"groups", []string{configuration}, groupsOfImages},
	{"nodes", []string{configuration, nodes}, nodesKnowGroups},
	{"versions", []string{nodes, deployments, configuration}, versions},
}

// Run does every check. It is an error where there is no cluster to look at.
func Run(ctx context.Context, c *Cluster, o Options) ([]Finding, error) {
	checks, err := chosen(o.Only)
	if err != nil {
		return nil, err
	}
	s, err := read(ctx, c, o, checks)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, check := range checks {
		findings := s.unreadable(check.needs)
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

// chosen are the checks of that names, in the order of all.
func chosen(names []string) (checks []one, err error) {
	var known []string
	for _, check := range all {
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

// Judge is what the findings come to: nil, ErrFailed, or that something could not be told.
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
		return fmt.Errorf("nothing failed, but %d could not be told", unknown)
	}
	return nil
}

// byStatus has the worst first, and is otherwise in the order of the checks.
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

// plain is the finding as it may be shown: names in a cluster are written by strangers.
func (f Finding) plain() Finding {
	f.Where, f.Message = plain(f.Where), plain(f.Message)
	return f
}

// longest is more than any sentence here has, whatever names are in it.
const longest = 1200

// Plain returns a text as a finding may show it.
func Plain(s string) string { return plain(s) }

// plain writes everything but printable ASCII as an escape: what could steer a terminal, break a line or hide behind a
// look-alike.
func plain(s string) string {
	s = denial.Cut(s, longest)
	if strings.HasSuffix(s, "…") {
		s = strings.TrimSuffix(s, "…") + "..."
	}
	return denial.PrintableText(s)
}

// some names of many: the first few, and how many more there are.
func some(names []string) string {
	const most = 5
	if more := len(names) - most; more > 0 {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

// count of things, in words.
func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	if stem, is := strings.CutSuffix(of, "y"); is {
		return strconv.Itoa(n) + " " + stem + "ies"
	}
	return strconv.Itoa(n) + " " + of + "s"
}

// day is a date as it is told.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
