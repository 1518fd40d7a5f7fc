# Runs jupyter-user-init like the two containers of a Pod with discovery at start, without a kubelet. As in the init
# container, the program runs with a UID that belongs to no user, and finds the owner of a home. As in the notebook
# container, it becomes the owner and runs a command.
homes=$1 user=$2 command=$3
init=/mnt/webhook/jupyter-user-init
rm -rf /tmp/scratch
mkdir -m 777 /tmp/scratch
setpriv --reuid 65532 --regid 65532 --clear-groups --bounding-set=-all --no-new-privs \
	"$init" discover --user="$user" --homes="$homes" --scratch=/tmp/scratch --home="/home/$user" --min-uid=1000 --min-gid=1000
# The program has PID 1, as in a container.
unshare --mount --pid --fork --mount-proc bash -euc '
	mount -t tmpfs tmpfs /home
	mkdir "/home/$2"
	mount --bind "$1/$2" "/home/$2"
	cd /
	exec setpriv --bounding-set=-all,+setuid,+setgid --clear-groups --no-new-privs \
		/tmp/scratch/jupyter-user-init exec --user="$2" --home="/home/$2" --scratch=/tmp/scratch -- sh -c "$3"
' - "$homes" "$user" "$command"
