# A hook that can be seen, in the notebook's environment.
export START_NOTEBOOK_HOOK="ran as $(id -u)"
