# Starts the kernel's NFS server in the network namespace srv, which is connected by a veth. While the link of the veth is
# down, the server does not respond. The exports are on the machine's disk, because the root of the machine (hostfs) cannot
# be exported.
mkdir -p /disk/srv /srv
mount --bind /disk/srv /srv
mkdir -p /srv/{hpc,open,read,mapped}/home
# The project directories of two groups.
mkdir -p /srv/hpc/groups/{physics,chemistry}
chgrp 9101 /srv/hpc/groups/physics
chgrp 9102 /srv/hpc/groups/chemistry
chmod 2770 /srv/hpc/groups/*
# With NFS 4 an export below the root of the exports must be a mount point.
for export in hpc open read mapped; do mount --bind /srv/$export /srv/$export; done

ip netns add srv
ip link add client type veth peer name server netns srv
ip address add 198.18.0.1/24 dev client
ip link set client up
ip -n srv address add 198.18.0.2/24 dev server
ip -n srv link set server up
ip -n srv link set lo up
# Other nodes reach the server through this node.
ip -n srv route add default via 198.18.0.1
echo 1 >/proc/sys/net/ipv4/ip_forward

cat >/etc/exports <<'EXPORTS'
/srv *(ro,sync,no_subtree_check,root_squash,fsid=0,crossmnt)
/srv/hpc *(rw,sync,no_subtree_check,root_squash,fsid=1,crossmnt)
/srv/open *(rw,sync,no_subtree_check,no_root_squash,fsid=2,crossmnt)
/srv/read *(ro,sync,no_subtree_check,root_squash,fsid=3,crossmnt)
/srv/mapped *(rw,sync,no_subtree_check,all_squash,anonuid=0,anongid=0,fsid=4,crossmnt)
EXPORTS

# Disable manage-gids, which Debian enables. With it the server itself looks up the groups of a user, and ignores the groups
# that a client sends.
sed -i 's/^manage-gids/# &/' /etc/nfs.conf

# Each call of ip netns exec makes a new mount namespace. So a mount that several calls need is made here, before the first
# call.
mount -t tmpfs tmpfs /var/lib/nfs
mkdir -p /var/lib/nfs/{rpc_pipefs,sm,v4recovery,nfsdcltrack}
touch /var/lib/nfs/{etab,rmtab}

ip netns exec srv bash -euo pipefail <<'SERVER'
mount -t nfsd nfsd /proc/fs/nfsd
rpcbind -w || rpcbind
exportfs -ra
rpc.mountd -p 20048
# A client of NFS 4 waits for the server's grace period, which is 90 s by default.
rpc.nfsd --grace-time 10 --lease-time 10 2
SERVER
