# A hook that counts its runs in the notebook's environment.
export START_NOTEBOOK_HOOK="ran as $(id -u)"
export START_NOTEBOOK_HOOKS=$((${START_NOTEBOOK_HOOKS:-0} + 1))
