package check

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// nfsPort is where NFS is served.
const nfsPort = 2049

// admits tells whether a policy lets the Pods that it selects reach NFS at an address. Policies add up: what one admits, no
// other takes back.
func admits(policy networkingv1.NetworkPolicy, server netip.Addr) bool {
	for _, rule := range policy.Spec.Egress {
		if admitsPort(rule.Ports) && admitsPeer(rule.To, server) {
			return true
		}
	}
	return false
}

// admitsPort: no ports are all of them. A named port is the Pod's that is reached, and a server outside has none; where it is
// itself a Pod, the rule about its address says more.
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

// admitsPeer: no peers are all of them. A peer that selects Pods is not about a server outside of the cluster.
func admitsPeer(peers []networkingv1.NetworkPolicyPeer, server netip.Addr) bool {
	for _, peer := range peers {
		if peer.IPBlock != nil && blockHas(*peer.IPBlock, server) {
			return true
		}
	}
	return len(peers) == 0
}

// blockHas tells whether a block has an address. One that cannot be read is taken to have all: this is about what is safe.
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
