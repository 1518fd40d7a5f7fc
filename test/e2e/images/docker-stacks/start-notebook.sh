#!/bin/bash
# Kept for users who still call it. It does not call start.sh, which is the entrypoint.
echo "start-notebook.sh: WARNING: use start-notebook.py instead" >&2
exec /usr/local/bin/start-notebook.py "$@"
