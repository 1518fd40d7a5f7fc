#!/bin/bash
# A small copy of docker-stacks' start.sh, written from its observed behaviour: it runs hooks, changes the user, and then runs the
# command. It has no NB_UMASK, GRANT_SUDO, CHOWN_EXTRA and similar settings, which the webhook does not use.
set -e

log() { echo "start.sh: $*" >&2; }

# Hooks are sourced, so that the notebook has their exported variables.
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

# start.sh is the entrypoint, so it runs twice if a user's command begins with it too. Images from before 2024 do not have these lines;
# their Dockerfiles remove them.
if [ "${_START_SH_EXECUTED:-}" = 1 ]; then
	log "WARNING: it is the entrypoint already, and need not be part of the command"
	exec "$@"
fi
export _START_SH_EXECUTED=1

# As root: turn the account jovyan into the user of NB_USER, NB_UID and NB_GID, and become that user.
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

# As any other user: warn, and if /etc/passwd is writable, add an account for an unknown UID. Without a user jovyan the script ends here
# without a message, as the real one does: the two assignments fail under set -e.
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
