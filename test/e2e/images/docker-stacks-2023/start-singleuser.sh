#!/bin/bash
# What docker-stacks had for hubs before 2024: it calls start.sh.
set -e
read -r -a arguments <<<"${NOTEBOOK_ARGS:-}"
exec /usr/local/bin/start.sh jupyterhub-singleuser "${arguments[@]}" "$@"
