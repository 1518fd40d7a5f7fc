package check

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const nfsPort = 2049

// admits reports whether a NetworkPolicy lets the Pods that it selects reach NFS at an address. NetworkPolicies are
// additive: a policy cannot deny what another policy allows.
func admits(policy networkingv1.NetworkPolicy, server netip.Addr) bool {
	for _, rule := range policy.Spec.Egress {
		if admitsPort(rule.Ports) && admitsPeer(rule.To, server) {
			return true
		}
	}
	return false
}

// admitsPort reports whether the ports of a rule include the NFS port. A rule without ports is for all ports. A named port
// does not count, because it is a port of a Pod, and the server is outside of the cluster.
func admitsPort(ports []networkingv1.NetworkPolicyPort) bool {
	for _, port := range ports {
		if port.Protocol != nil && *port.Protocol == corev1.ProtocolSCTP {
			continue
		}
		if port.Port == nil {
			return true
		}
		if port.Port.Type == intstr.String {
			continue
		}
		last := port.Port.IntVal
		if port.EndPort != nil {
			last = *port.EndPort
		}
		if port.Port.IntVal <= nfsPort && nfsPort <= last {
			return true
		}
	}
	return len(ports) == 0
}

// admitsPeer reports whether the peers of a rule include an address. A rule without peers is for all addresses. A peer that
// selects Pods does not include a server outside the cluster.
func admitsPeer(peers []networkingv1.NetworkPolicyPeer, server netip.Addr) bool {
	for _, peer := range peers {
		if peer.IPBlock != nil && blockHas(*peer.IPBlock, server) {
			return true
		}
	}
	return len(peers) == 0
}

// blockHas reports whether an IP block has an address. It returns true for a block that cannot be parsed, so that its
// NetworkPolicy is reported as one that lets Pods reach the server.
func blockHas(block networkingv1.IPBlock, server netip.Addr) bool {
	whole, err := netip.ParsePrefix(block.CIDR)
	if err != nil {
		return true
	}
	if !whole.Contains(server) {
		return false
	}
	for _, text := range block.Except {
		if except, err := netip.ParsePrefix(text); err == nil && except.Contains(server) {
			return false
		}
	}
	return true
}
