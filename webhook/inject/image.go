package inject

import (
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// This file finds out what an image runs by default, from its name alone.

var (
	// jupyterImages are words in the names of images that start Jupyter.
	jupyterImages = []string{"jupyter", "notebook", "singleuser", "docker-stacks", "z2jh"}
	// otherImages are words in the names of images that start another program.
	otherImages = []string{"code-server", "codeserver", "vscode", "rstudio", "shiny", "openrefine", "theia", "zeppelin", "polynote",
		"streamlit", "pluto", "k8s-hub", "configurable-http-proxy"}
	// proxyImages and proxyNames are words in the images and names of proxy containers: those of service meshes, and those that
	// require a login.
	proxyImages = []string{"istio/proxy", "proxyv2", "linkerd/proxy", "linkerd2-proxy", "envoy", "oauth2-proxy", "oauth-proxy",
		"kube-rbac-proxy", "consul-dataplane", "cilium", "kuma-dp", "cloud-sql-proxy", "cloudsql-proxy", "vault-agent",
		"hashicorp/vault"}
	proxyNames = []string{"istio-proxy", "linkerd-proxy", "envoy", "envoy-sidecar", "oauth2-proxy", "oauth-proxy",
		"kube-rbac-proxy", "consul-dataplane", "kuma-sidecar", "vault-agent", "dapr", "daprd"}
)

// foundation is the base image of docker-stacks: it starts a shell.
const foundation = "docker-stacks-foundation"

// imageRuns returns what an image without a command runs.
func imageRuns(image *string) programKind {
	if image == nil {
		return runsUnknown
	}
	reference, _, _ := strings.Cut(strings.ToLower(*image), "@")
	name := reference[strings.LastIndexByte(reference, '/')+1:]
	repository, _, _ := strings.Cut(name, ":")
	in := func(text string, known []string) bool {
		return slices.ContainsFunc(known, func(word string) bool { return strings.Contains(text, word) })
	}
	switch {
	case repository == foundation:
		return runsOther
	case in(repository, otherImages) && !in(repository, jupyterImages):
		return runsOther
	case in(name, jupyterImages):
		// The tag counts too, as in tensorflow:latest-jupyter.
		return runsJupyter
	}
	return runsUnknown
}

// isProxy reports whether a container is known to be a proxy.
func isProxy(c *pod.Container) bool {
	if slices.Contains(proxyNames, c.Name) {
		return true
	}
	return c.Image != nil && slices.ContainsFunc(proxyImages, func(word string) bool {
		return strings.Contains(strings.ToLower(*c.Image), word)
	})
}
