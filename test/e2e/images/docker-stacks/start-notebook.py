#!/usr/bin/env -S python3 -u
"""The default command of docker-stacks since 2024: jupyter lab, with NOTEBOOK_ARGS before its own arguments."""

import os
import shlex
import sys

command = ["jupyter", os.environ.get("DOCKER_STACKS_JUPYTER_CMD", "lab")]
if os.environ.get("RESTARTABLE") == "yes":
    sys.exit("start-notebook.py: RESTARTABLE is left out of this stand-in")
if os.environ.get("JUPYTERHUB_API_TOKEN"):
    # A hub's Pod without a command.
    print("start-notebook.py: WARNING: running start-singleuser.py", file=sys.stderr)
    os.execv("/usr/local/bin/start-singleuser.py", ["start-singleuser.py", *sys.argv[1:]])
command += shlex.split(os.environ.get("NOTEBOOK_ARGS", ""))
command += sys.argv[1:]
print("start-notebook.py:", shlex.join(command), file=sys.stderr)
os.execvp(command[0], command)
