// Package kubespawner renders the golden inputs kubespawner-*.yaml, with the real JupyterHub and the real KubeSpawner. Its
// test compares the rendered Pods with the committed files. render.py runs the hub to the point where it would create a Pod.
// chart.py has the default settings of the Zero to JupyterHub chart. matrix.py has the settings of each case.
package kubespawner
