#!/bin/bash
# Kept for those who still call it: it does not call start.sh, which is the entrypoint.
echo "start-notebook.sh: WARNING: use start-notebook.py instead" >&2
exec /usr/local/bin/start-notebook.py "$@"
