// Package kubespawner renders the hubs' Pods among the golden inputs, with the real JupyterHub and the real KubeSpawner.
// Its test compares them with the committed files. render.py runs the hub to the point where it would create a Pod.
// chart.py has the default settings of the Zero to JupyterHub chart. matrix.py has the settings of each case.
package kubespawner
