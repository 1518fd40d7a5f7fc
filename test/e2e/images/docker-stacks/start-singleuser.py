#!/usr/bin/env -S python3 -u
"""The command for hubs of docker-stacks: jupyterhub-singleuser, with NOTEBOOK_ARGS before its own arguments."""

import os
import shlex
import sys

command = ["jupyterhub-singleuser", *shlex.split(os.environ.get("NOTEBOOK_ARGS", "")), *sys.argv[1:]]
print("start-singleuser.py:", shlex.join(command), file=sys.stderr)
os.execvp(command[0], command)
