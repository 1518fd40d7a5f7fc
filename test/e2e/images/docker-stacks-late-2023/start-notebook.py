#!/usr/bin/env -S python3 -u
"""The default command of docker-stacks from October 2023 to January 2024, which calls start.sh."""

import os
import shlex
import sys

if "JUPYTERHUB_API_TOKEN" in os.environ:
    os.execv("/usr/local/bin/start-singleuser.py", ["start-singleuser.py", *sys.argv[1:]])
command = ["/usr/local/bin/start.sh", "jupyter", os.environ.get("DOCKER_STACKS_JUPYTER_CMD", "lab")]
command += shlex.split(os.environ.get("NOTEBOOK_ARGS", ""))
command += sys.argv[1:]
os.execv(command[0], command)
