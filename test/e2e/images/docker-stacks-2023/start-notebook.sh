#!/bin/bash
# The default command of docker-stacks before October 2023, which calls start.sh.
set -e
[ -z "${JUPYTERHUB_API_TOKEN:-}" ] || exec /usr/local/bin/start-singleuser.sh "$@"
read -r -a arguments <<<"${NOTEBOOK_ARGS:-}"
exec /usr/local/bin/start.sh jupyter "${DOCKER_STACKS_JUPYTER_CMD:-lab}" "${arguments[@]}" "$@"
