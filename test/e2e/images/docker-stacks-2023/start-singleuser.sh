#!/bin/bash
# The command for hubs of docker-stacks before October 2023, which calls start.sh.
set -e
read -r -a arguments <<<"${NOTEBOOK_ARGS:-}"
exec /usr/local/bin/start.sh jupyterhub-singleuser "${arguments[@]}" "$@"
