#!/bin/bash
# An entrypoint that can be seen, in the notebook's environment.
export OWN_ENTRYPOINT=$((${OWN_ENTRYPOINT:-0} + 1))
exec "$@"
