#!/bin/bash
# What docker-stacks' start.sh does, as far as our webhook meets it: hooks, what becomes of who it was started as, and then
# whatever it was told to run. Written from watching the real one, and small: no NB_UMASK, GRANT_SUDO, CHOWN_EXTRA and such.
set -e

log() { echo "start.sh: $*" >&2; }

# Hooks are sourced, so that what they export is there in the notebook.
run_hooks() {
	log "running hooks in $1"
	local hook
	for hook in "$1"/*.sh; do
		# shellcheck source=/dev/null
		[ ! -f "$hook" ] || source "$hook"
	done
	log "done running hooks in $1"
}

[ $# -gt 0 ] || set -- bash

# Since it is the entrypoint, people who put it in front of their command too run it twice. Images from before 2024 have not these
# lines, and their Dockerfiles take them out.
if [ "${_START_SH_EXECUTED:-}" = 1 ]; then
	log "WARNING: it is the entrypoint already, and need not be part of the command"
	exec "$@"
fi
export _START_SH_EXECUTED=1

# As root: make the person of NB_USER, NB_UID and NB_GID of jovyan, and become that person.
become_user() {
	local user=${NB_USER:-jovyan} uid=${NB_UID:-1000} gid=${NB_GID:-100}
	if [ "$user" != jovyan ] && id -u jovyan >/dev/null 2>&1; then
		usermod --home "/home/$user" --login "$user" jovyan
	fi
	if [ "$uid" != "$(id -u "$user")" ] || [ "$gid" != "$(id -g "$user")" ]; then
		log "$user becomes $uid:$gid"
		[ "$gid" = "$(id -g "$user")" ] || groupadd --force --gid "$gid" --non-unique "${NB_GROUP:-$user}"
		userdel "$user"
		useradd --no-log-init --home "/home/$user" --shell /bin/bash --uid "$uid" --gid "$gid" --groups 100 "$user"
	fi
	if [ ! -d "/home/$user" ]; then
		mkdir "/home/$user"
		chown "$uid:$gid" "/home/$user"
	fi
	case "$PWD" in
	/home/jovyan | /home/jovyan/*) cd "/home/$user${PWD#/home/jovyan}" ;;
	esac
	run_hooks /usr/local/bin/before-notebook.d
	log "running as $user: ${command[*]}"
	exec sudo --preserve-env --set-home --user "$user" PATH="$PATH" "${command[@]}"
}

# As anybody else: nothing can be changed, so it only warns. If there is no jovyan to compare with, it ends here, without a
# word, as the real one does: the two assignments fail under set -e.
stay_user() {
	local uid gid
	uid=$(id -u jovyan 2>/dev/null)
	gid=$(id -g jovyan 2>/dev/null)
	if ! whoami >/dev/null 2>&1; then
		log "WARNING: there is no user with UID $(id -u)"
		if [ -w /etc/passwd ]; then
			echo "jovyan:x:$(id -u):$(id -g):,,,:/home/jovyan:/bin/bash" >>/etc/passwd
		fi
	elif [ "$(id -u):$(id -g)" != "$uid:$gid" ]; then
		log "WARNING: running as $(id -u):$(id -g), which is not jovyan"
	fi
	if [ -n "${NB_USER:-}" ] && [ "$NB_USER" != jovyan ] && [ "$NB_USER" != "$(id -un 2>/dev/null)" ]; then
		log "WARNING: only root can become $NB_USER"
	fi
	[ -w /home/jovyan ] || log "WARNING: /home/jovyan cannot be written"
	run_hooks /usr/local/bin/before-notebook.d
	log "running: ${command[*]}"
	exec "${command[@]}"
}

command=("$@")
run_hooks /usr/local/bin/start-notebook.d
if [ "$(id -u)" = 0 ]; then
	become_user
else
	stay_user
fi
