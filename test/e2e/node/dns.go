package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	discovery "k8s.io/client-go/listers/discovery/v1"
)

// clusterDomain is the default domain of a cluster.
const clusterDomain = "cluster.local"

// DNSCacheTime returns for how long DNS repeats an outdated response. It is 5 seconds, the default of CoreDNS. If the
// environment variable LONG is set, as before a release, it is 30 seconds, as in the configuration of CoreDNS that kubeadm
// makes (cache 30). A replica of the webhook may find new replicas only after this time.
func DNSCacheTime() time.Duration {
	if os.Getenv("LONG") != "" {
		return 30 * time.Second
	}
	return 5 * time.Second
}

// dnsServer serves the names of headless Services, which resolve to the addresses of the ready Pods. Tests need no names of
// other Services, because without kube-proxy no connection to the address of such a Service works.
type dnsServer struct {
	slices discovery.EndpointSliceLister
	lock   sync.Mutex
	cache  map[string]cachedResponse
}

type cachedResponse struct {
	addresses []netip.Addr
	until     time.Time
}

// startDNS starts the DNS server for Pods, at the address of the node. It serves until the enclosure ends.
func (c *Cluster) startDNS(ctx context.Context, _ Options) error {
	factory := informers.NewSharedInformerFactory(c.Client, 0)
	n := &dnsServer{slices: factory.Discovery().V1().EndpointSlices().Lister(), cache: map[string]cachedResponse{}}
	factory.Start(nil)
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("no %s came", kind)
		}
	}
	conn, err := net.ListenPacket("udp", net.JoinHostPort(Address, "53"))
	if err != nil {
		return err
	}
	go n.serve(conn)
	return nil
}

func (n *dnsServer) serve(conn net.PacketConn) {
	question := make([]byte, 512)
	for {
		size, from, err := conn.ReadFrom(question)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if answer, err := n.answer(question[:size]); err == nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

func (n *dnsServer) answer(text []byte) ([]byte, error) {
	var parser dnsmessage.Parser
	head, err := parser.Start(text)
	if err != nil {
		return nil, err
	}
	question, err := parser.Question()
	if err != nil {
		return nil, err
	}
	addresses := n.find(strings.ToLower(question.Name.String()))
	message := dnsmessage.Message{
		Header: dnsmessage.Header{ID: head.ID, Response: true, RecursionDesired: head.RecursionDesired},
		// Clients compare this question with their own.
		Questions: []dnsmessage.Question{question},
	}
	if len(addresses) == 0 {
		message.RCode = dnsmessage.RCodeNameError
	}
	for _, address := range addresses {
		if question.Type != dnsmessage.TypeA {
			break // The name exists, even if it has no address of this type.
		}
		message.Answers = append(message.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.AResource{A: address.As4()},
		})
	}
	return message.Pack()
}

func (n *dnsServer) find(name string) []netip.Addr {
	n.lock.Lock()
	defer n.lock.Unlock()
	if known := n.cache[name]; time.Now().Before(known.until) {
		return known.addresses
	}
	path, ok := strings.CutSuffix(name, ".svc."+clusterDomain+".")
	service, namespace, two := strings.Cut(path, ".")
	if !ok || !two {
		return nil
	}
	slices, _ := n.slices.EndpointSlices(namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service}))
	var found []netip.Addr
	for _, slice := range slices {
		if _, headless := slice.Labels["service.kubernetes.io/headless"]; headless {
			found = append(found, readyAddresses(slice)...)
		}
	}
	if len(found) > 0 {
		n.cache[name] = cachedResponse{found, time.Now().Add(DNSCacheTime())}
	}
	return found
}

// readyAddresses returns the IPv4 addresses of the ready endpoints in an EndpointSlice. For a Service with
// publishNotReadyAddresses, Kubernetes lists every endpoint as ready.
func readyAddresses(slice *discoveryv1.EndpointSlice) (found []netip.Addr) {
	for _, endpoint := range slice.Endpoints {
		if endpoint.Conditions.Ready != nil && !*endpoint.Conditions.Ready {
			continue
		}
		for _, text := range endpoint.Addresses {
			if address, err := netip.ParseAddr(text); err == nil && address.Is4() {
				found = append(found, address)
			}
		}
	}
	return found
}
