package check

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
)

// egress checks that NetworkPolicies keep Pods from the share's NFS server, which trusts every client. Whether the network
// plugin enforces the NetworkPolicies is not visible.
func egress(ctx context.Context, s *state) (found []Finding) {
	servers, names, unclear := s.servers(ctx)
	found = append(found, unclear...)
	if len(servers) == 0 {
		if len(found) > 0 {
			return found
		}
		return []Finding{unknown("", "the share's volumes name no NFS server: give each address of the server with --share-address")}
	}
	served, hasEveryHome := s.existingServed(), s.hasEveryHome()
	var exempt []string
	for _, namespace := range served {
		if hasEveryHome(namespace) {
			exempt = append(exempt, namespace)
			continue
		}
		found = append(found, s.openEgress(namespace, servers)...)
	}
	found = append(found, s.egressWithoutNotebooks(served, servers)...)
	if len(found) == 0 {
		found = append(found, ok("", "NetworkPolicies keep Pods from %s%s; whether the network plugin enforces them cannot be "+
			"seen from here%s",
			firstFew(servers), exceptIn(exempt), asResolved(names)))
	}
	return found
}

// egressWithoutNotebooks returns warnings about namespaces without notebooks whose Pods may reach the NFS server: either no
// NetworkPolicy keeps the Pods from the server, or the Pods may use the host's network, which no NetworkPolicy restricts.
func (s *state) egressWithoutNotebooks(served, servers []string) (found []Finding) {
	var open, onHost []string
	for _, namespace := range s.namespaces.Items {
		name := namespace.Name
		if isSystemNamespace(name) || slices.Contains(served, name) {
			continue
		}
		if len(s.openEgress(name, servers)) > 0 {
			open = append(open, name)
		}
		if !protectsNode(s.level(name)) {
			onHost = append(onHost, name)
		}
	}
	if len(onHost) > 0 {
		found = append(found, warning("", "in %s without notebooks Pods may use the host's network, which no NetworkPolicy "+
			"restricts: %s: anyone who can create Pods there can be any user on the share: %s=%s, or let only admins create Pods "+
			"there", count(len(onHost), "namespace"), firstFew(onHost), levelLabel, baseline))
	}
	if len(open) > 0 {
		found = append(found, warning("", "in %s without notebooks Pods may reach the NFS server too: %s: anyone who can create "+
			"Pods there can be any user on the share: deploy/examples/networkpolicy.yaml",
			count(len(open), "namespace"), firstFew(open)))
	}
	return found
}

// exceptIn returns the end of a message: the namespaces that are exempt from the check; empty if there are none.
func exceptIn(exempt []string) string {
	if len(exempt) == 0 {
		return ""
	}
	return ", except in " + firstFew(exempt) + ", where everyone who can create Pods has every home"
}

// hasEveryHome returns a function that reports whether everyone who can create Pods in a namespace may use every home
// anyway, so that the namespace needs no NetworkPolicy. Such a namespace has the share only for a program (programsAlone),
// whose ServiceAccount has the verb run-as on the resource shares. Everyone who can create Pods there can use that
// ServiceAccount, and so mount the whole share.
func (s *state) hasEveryHome() func(namespace string) bool {
	return s.programsAloneIf(func(g grant) bool { return g.covers(s.claimName()) })
}

// isSystemNamespace reports whether a namespace belongs to the cluster or to the webhook. Only admins should create Pods
// there.
func isSystemNamespace(namespace string) bool {
	return strings.HasPrefix(namespace, "kube-") || namespace == systemNamespace
}

// openEgress returns a finding for each NetworkPolicy of a namespace and each server that the policy lets Pods reach. If no
// NetworkPolicy there restricts the egress of all Pods, it returns one finding about that.
func (s *state) openEgress(namespace string, servers []string) (found []Finding) {
	const example = "put deploy/examples/networkpolicy.yaml there, with its addresses"
	where := "namespace " + namespace
	var restricting []networkingv1.NetworkPolicy
	for _, policy := range s.networkPolicies.Items {
		if policy.Namespace == namespace && slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) {
			restricting = append(restricting, policy)
		}
	}
	selectsAll := slices.ContainsFunc(restricting, func(p networkingv1.NetworkPolicy) bool {
		return len(p.Spec.PodSelector.MatchLabels)+len(p.Spec.PodSelector.MatchExpressions) == 0
	})
	if !selectsAll {
		return []Finding{failed(where, "no NetworkPolicy of every Pod restricts egress, so Pods reach the NFS server (%s) "+
			"and can be any user on it: %s", firstFew(servers), example)}
	}
	for _, policy := range restricting {
		for _, server := range servers {
			// servers has only valid addresses.
			if admits(policy, netip.MustParseAddr(server)) {
				found = append(found, failed(where, "the NetworkPolicy %s lets Pods reach the NFS server %s, whatever others say: %s",
					policy.Name, server, example))
			}
		}
	}
	return found
}

// asResolved returns the end of a message about servers of the share that have a name; empty if there are none. Another
// machine can resolve a name to other addresses than this one: a node of another zone can have another address of the same
// file system, and some servers return one address of a pool for each lookup.
func asResolved(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(". These are the addresses of %s as resolved from here: each further address of the server (EFS: one for "+
		"each zone; SmartConnect; several LIFs) must be in `except` too, and --share-address checks it", firstFew(names))
}

// inCluster reports whether a host is the DNS name of a Service.
func inCluster(host string) bool {
	return strings.HasSuffix(host, ".svc") || strings.Contains(host, ".svc.")
}

// servers returns the addresses of the share's NFS servers, with those of the option ShareAddresses, and the names of the
// servers that have a name. It returns a finding for each volume whose server has the DNS name of a Service, and for each
// volume whose server has no address that can be found.
func (s *state) servers(ctx context.Context) (addresses, names []string, unclear []Finding) {
	addresses = slices.Clone(s.ShareAddresses)
	for _, volume := range s.sharePVs() {
		server := exportOf(volume).server
		if server == "" {
			continue
		}
		if inCluster(server) {
			unclear = append(unclear, unknown("PersistentVolume "+volume.Name, "its server %s is in the cluster. Make sure that "+
				"no NetworkPolicy allows its Pods by their labels, which this check does not see", server))
		}
		found, err := s.addresses(ctx, server)
		if err != nil {
			unclear = append(unclear, unknown("PersistentVolume "+volume.Name, "the addresses of its server %s cannot be found "+
				"from here: %s", server,
				oneLine(err)))
		}
		if _, err := parseAddress(server); err != nil {
			names = append(names, server)
		}
		addresses = append(addresses, found...)
	}
	slices.Sort(addresses)
	slices.Sort(names)
	return slices.Compact(addresses), slices.Compact(names), unclear
}

// parseAddress returns the IP address that a host is. The error is not nil if the host is a name.
func parseAddress(host string) (netip.Addr, error) { return netip.ParseAddr(strings.Trim(host, "[]")) }

// addresses returns the IP addresses of a host, which is a name or an address.
func (s *state) addresses(ctx context.Context, host string) ([]string, error) {
	if address, err := parseAddress(host); err == nil {
		return []string{address.Unmap().WithZone("").String()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	found, err := s.lookUp(ctx, host)
	if err != nil {
		return nil, err
	}
	var addresses []string
	for _, text := range found {
		if address, err := netip.ParseAddr(text); err == nil {
			addresses = append(addresses, address.Unmap().WithZone("").String())
		}
	}
	return addresses, nil
}
