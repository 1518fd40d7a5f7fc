#!/usr/bin/env -S python3 -u
"""The command for hubs of docker-stacks from October 2023 to January 2024, which calls start.sh."""

import os
import shlex
import sys

arguments = os.environ.get("NOTEBOOK_ARGS", "")
command = ["/usr/local/bin/start.sh", "jupyterhub-singleuser"]
if "--ip=" not in arguments:
    command.append("--ip=0.0.0.0")
command += shlex.split(arguments) + sys.argv[1:]
os.execv(command[0], command)
