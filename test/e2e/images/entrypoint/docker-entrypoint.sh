#!/bin/bash
# An entrypoint that leaves a mark in the notebook's environment.
export OWN_ENTRYPOINT=$((${OWN_ENTRYPOINT:-0} + 1))
exec "$@"
