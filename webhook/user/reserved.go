package user

import (
	"slices"
	"strings"
)

// reserved are names that no user can have: names of accounts and groups in images (those of Debian's base-passwd, those of
// packages of Debian and Red Hat, and "jovyan" and "users" of docker-stacks), and the directory "lost+found".
var reserved = strings.Fields(`
	root nobody nogroup jovyan users
	daemon bin sys adm sync shutdown halt operator games man lp mail news uucp proxy www-data backup list irc gnats ftp
	_apt tty disk kmem dialout fax voice cdrom floppy tape sudo wheel audio dip src shadow utmp video sasl plugdev staff
	input render sgx kvm lock mem
	systemd systemd-network systemd-resolve systemd-timesync systemd-coredump systemd-journal systemd-oom messagebus dbus
	polkitd sshd ssh chrony ntp rpc rpcuser nfsnobody nfs postfix avahi tss uuidd syslog crontab apache nginx docker
	lost+found
`)

// isReserved reports whether a name is reserved. It ignores case, because some shares ignore case.
func isReserved(name string, more []string) bool {
	same := func(r string) bool { return strings.EqualFold(r, name) }
	return slices.ContainsFunc(reserved, same) || slices.ContainsFunc(more, same)
}
