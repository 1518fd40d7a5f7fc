#!/bin/bash
# Kept for those who still call it, as start-notebook.sh is.
echo "start-singleuser.sh: WARNING: use start-singleuser.py instead" >&2
exec /usr/local/bin/start-singleuser.py "$@"
