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

// Doors let a user outside reach a server inside. A door is a socket in the file system, which belongs to no network namespace.

func doorPath(folder, name string) string { return filepath.Join(folder, name+".door") }

// Open opens a door to an address inside, until the enclosure is gone.
func (e Enclosure) Open(door, address string) error {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "unix", doorPath(e.Folder, door))
	if err != nil {
		return fmt.Errorf("open the door %s: %w", door, err)
	}
	go Pass(listener, "tcp", address)
	return nil
}

// openDoors listens on loopback outside. Connections fail until the door is open inside.
func (p Program) openDoors(ctx context.Context, folder string) (closeAll func(), err error) {
	var listeners []net.Listener
	closeAll = func() {
		for _, listener := range listeners {
			_ = listener.Close()
		}
	}
	for _, door := range p.Doors {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("make the door %s: %w", door, err)
		}
		listeners = append(listeners, listener)
		go Pass(listener, "unix", doorPath(folder, door))
		if p.Opened != nil {
			p.Opened(door, listener.Addr().String())
		}
	}
	return closeAll, nil
}

// Pass forwards connections to an address, until the listener is closed.
func Pass(listener net.Listener, network, address string) {
	for {
		from, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close() //nolint:errcheck // it is over either way
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
