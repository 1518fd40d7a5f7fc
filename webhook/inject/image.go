package inject

import (
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// This file finds out from the name of an image which kind of program the image starts by default.

var (
	// jupyterImages are words in the names of images that start Jupyter.
	jupyterImages = []string{"jupyter", "notebook", "singleuser", "docker-stacks", "z2jh"}
	// otherImages are words in the names of images that start another program.
	otherImages = []string{"code-server", "codeserver", "vscode", "rstudio", "shiny", "openrefine", "theia", "zeppelin", "polynote",
		"streamlit", "pluto", "k8s-hub", "configurable-http-proxy"}
	// openingImages are Jupyter images that tell Jupyter to open in a directory of their own: repository, end of the tag, and
	// that directory.
	openingImages = []struct{ repository, tag, directory string }{{"tensorflow/tensorflow", "-jupyter", "/tf"}}
	// tokenlessImages are words in the names of images that start Jupyter without token and password.
	tokenlessImages = []string{"kubeflownotebookswg/jupyter", "kubeflow/notebook-servers/jupyter", "rapidsai/notebooks"}
	// loginProxies are words in the names of images of proxies at which users log in, and usual names of such containers.
	loginProxies = []string{"oauth2-proxy", "oauth-proxy"}
	// proxyImages are words in the names of images whose containers serve another container: proxies of service meshes,
	// login proxies, database proxies and agents that fetch secrets. proxyNames are usual names of such containers.
	proxyImages = slices.Concat(loginProxies, []string{"kube-rbac-proxy", "istio/proxy", "proxyv2", "linkerd/proxy",
		"linkerd2-proxy", "envoy", "consul-dataplane", "cilium", "kuma-dp", "cloud-sql-proxy", "cloudsql-proxy", "vault-agent",
		"hashicorp/vault"})
	proxyNames = slices.Concat(loginProxies, []string{"kube-rbac-proxy", "istio-proxy", "linkerd-proxy", "envoy", "envoy-sidecar",
		"consul-dataplane", "kuma-sidecar", "vault-agent", "dapr", "daprd"})
)

// foundation is the base image of docker-stacks. It starts a shell, not Jupyter.
const foundation = "docker-stacks-foundation"

// kindOfImage returns the kind of the program that an image starts by default.
func kindOfImage(image *string) programKind {
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
		// The name includes the tag, as in tensorflow:latest-jupyter.
		return runsJupyter
	}
	return runsUnknown
}

// openedByImage returns the directory in which an image tells Jupyter to open (openingImages); empty if there is none.
func openedByImage(image *string) string {
	if image == nil {
		return ""
	}
	reference, _, _ := strings.Cut(*image, "@")
	for _, known := range openingImages {
		rest, ok := strings.CutSuffix(reference, known.tag)
		at := strings.LastIndexByte(rest, ':')
		if ok && at >= 0 && (rest[:at] == known.repository || strings.HasSuffix(rest[:at], "/"+known.repository)) {
			return known.directory
		}
	}
	return ""
}

// isProxy reports whether a container is a known proxy (proxyImages, proxyNames).
func isProxy(c *pod.Container) bool {
	return slices.Contains(proxyNames, c.Name) || imageHas(c, proxyImages)
}

// isLoginProxy reports whether a container is a known login proxy (loginProxies).
func isLoginProxy(c pod.Container) bool {
	return slices.Contains(loginProxies, c.Name) || imageHas(&c, loginProxies)
}

// imageHas reports whether the name of a container's image contains one of the words. The host name of the registry does not
// count.
func imageHas(c *pod.Container, words []string) bool {
	if c.Image == nil {
		return false
	}
	image := strings.ToLower(*c.Image)
	if host, rest, ok := strings.Cut(image, "/"); ok && strings.ContainsAny(host, ".:") {
		image = rest
	}
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(image, word) })
}
