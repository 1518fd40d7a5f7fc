package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/lab"
)

// token is what the notebooks of these tests ask for: the way of deploy/docs/pods.md to choose one, but for the Secret.
const token = "e2e-token"

// withToken is what kubectl run is given so that a notebook has the token.
const withToken = "--env=JUPYTER_TOKEN=" + token

// withProbes is what it is given so that a pod of the small server is Ready when that serves, and is the user.
const withProbes = "--annotations=jupyter-user.io/probes=on"

// jupyter is the API of a running Jupyter server, and a token that it takes.
type jupyter = lab.Server

// jupyter is the pod's, which must be Ready.
func (p pod) jupyter(t *testing.T) jupyter {
	t.Helper()
	address := p.ready(t).Status.PodIP
	require.NotEmpty(t, address)
	return jupyter{Base: "http://" + address + ":8888/", Token: token}
}
