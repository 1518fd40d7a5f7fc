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

// clusterDomain is the default of kubelets.
const clusterDomain = "cluster.local"

// NamesKept is how long DNS repeats an outdated response: 30 seconds with kubeadm's configuration (cache 30), 5 seconds with
// CoreDNS' own default. A replica finds new replicas only after this time.
func NamesKept() time.Duration {
	if os.Getenv("LONG") != "" {
		return 30 * time.Second
	}
	return 5 * time.Second
}

// names serves the names of headless Services, which resolve to their Pods. Tests need no other part of a cluster's DNS: without
// kube-proxy, the address of another Service leads nowhere.
type names struct {
	slices discovery.EndpointSliceLister
	lock   sync.Mutex
	kept   map[string]kept
}

type kept struct {
	addresses []netip.Addr
	until     time.Time
}

// startNames serves DNS for Pods on the node's address, until the end of the enclosure.
func (c *Cluster) startNames(ctx context.Context, _ Options) error {
	factory := informers.NewSharedInformerFactory(c.Client, 0)
	n := &names{slices: factory.Discovery().V1().EndpointSlices().Lister(), kept: map[string]kept{}}
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

func (n *names) serve(conn net.PacketConn) {
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

func (n *names) answer(text []byte) ([]byte, error) {
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
		// Clients compare it with their question.
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

// find returns the addresses of <service>.<namespace>.svc.cluster.local.
func (n *names) find(name string) []netip.Addr {
	n.lock.Lock()
	defer n.lock.Unlock()
	if known := n.kept[name]; time.Now().Before(known.until) {
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
			found = append(found, ready(slice)...)
		}
	}
	if len(found) > 0 {
		n.kept[name] = kept{found, time.Now().Add(NamesKept())}
	}
	return found
}

// ready returns the addresses of Pods that are ready, or that count as ready because the Service publishes the others too.
func ready(slice *discoveryv1.EndpointSlice) (found []netip.Addr) {
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
