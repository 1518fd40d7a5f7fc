# A hook that can be seen and counted, in the notebook's environment.
export START_NOTEBOOK_HOOK="ran as $(id -u)"
export START_NOTEBOOK_HOOKS=$((${START_NOTEBOOK_HOOKS:-0} + 1))
