#!/bin/bash
# Kept for users who still call it, like start-notebook.sh.
echo "start-singleuser.sh: WARNING: use start-singleuser.py instead" >&2
exec /usr/local/bin/start-singleuser.py "$@"
