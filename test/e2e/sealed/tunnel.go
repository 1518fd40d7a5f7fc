package sealed

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"time"
)

// A process outside the enclosure cannot connect to a server inside, because the network namespaces differ. A tunnel
// forwards such connections. Its outer end listens on loopback, and its inner end connects to the server. A Unix socket in
// the folder of the enclosure, which both ends can open, connects the two ends.

func tunnelPath(folder, name string) string { return filepath.Join(folder, name+".tunnel") }

// Open makes a tunnel forward connections to address, an address inside the enclosure, until the enclosure ends.
func (e Enclosure) Open(tunnel, address string) error {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "unix", tunnelPath(e.Folder, tunnel))
	if err != nil {
		return fmt.Errorf("open the tunnel %s: %w", tunnel, err)
	}
	go Pass(listener, "tcp", address)
	return nil
}

func (p Program) openTunnels(ctx context.Context, folder string) (closeAll func(), err error) {
	var listeners []net.Listener
	closeAll = func() {
		for _, listener := range listeners {
			_ = listener.Close()
		}
	}
	for _, tunnel := range p.Tunnels {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("make the tunnel %s: %w", tunnel, err)
		}
		listeners = append(listeners, listener)
		go Pass(listener, "unix", tunnelPath(folder, tunnel))
		if p.Opened != nil {
			p.Opened(tunnel, listener.Addr().String())
		}
	}
	return closeAll, nil
}

// Pass forwards each connection of the listener to an address, until the listener is closed.
func Pass(listener net.Listener, network, address string) {
	for {
		from, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close() //nolint:errcheck // The connection has ended.
			to, err := net.DialTimeout(network, address, 5*time.Second)
			if err != nil {
				return
			}
			defer to.Close() //nolint:errcheck // likewise
			relay(from, to)
		}()
	}
}

func relay(one, other net.Conn) {
	var group sync.WaitGroup
	for _, pair := range [][2]net.Conn{{one, other}, {other, one}} {
		group.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			if half, ok := pair[0].(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
		})
	}
	group.Wait()
}
