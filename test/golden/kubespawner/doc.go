// Package kubespawner holds the script that renders the hubs' pods of the corpus, with the real JupyterHub and the real
// KubeSpawner, and the test that what is committed is what they render. render.py runs the hub up to where it would create a pod,
// chart.py is what the Zero to JupyterHub chart says by itself, and matrix.py what is said besides.
package kubespawner
