# A hook that can be seen, in the notebook's environment. In the real images, conda is activated by such a one.
export BEFORE_NOTEBOOK_HOOK="ran as $(id -u)"
