#!/usr/bin/env -S python3 -u
"""What docker-stacks has for hubs: jupyterhub-singleuser, with its arguments behind those of NOTEBOOK_ARGS."""

import os
import shlex
import sys

command = ["jupyterhub-singleuser", *shlex.split(os.environ.get("NOTEBOOK_ARGS", "")), *sys.argv[1:]]
print("start-singleuser.py:", shlex.join(command), file=sys.stderr)
os.execvp(command[0], command)
