# A hook that counts its runs in the notebook's environment. In the real images, such a hook activates conda.
export BEFORE_NOTEBOOK_HOOK="ran as $(id -u)"
export BEFORE_NOTEBOOK_HOOKS=$((${BEFORE_NOTEBOOK_HOOKS:-0} + 1))
