# A hook that can be seen and counted, in the notebook's environment. In the real images, conda is activated by such a one.
export BEFORE_NOTEBOOK_HOOK="ran as $(id -u)"
export BEFORE_NOTEBOOK_HOOKS=$((${BEFORE_NOTEBOOK_HOOKS:-0} + 1))
