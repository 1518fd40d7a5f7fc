package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/lab"
)

// token is the token of the notebooks in these tests, set as in deploy/docs/pods.md, but without a Secret.
const token = "e2e-token"

// withToken is the flag of kubectl run that gives a notebook the token.
const withToken = "--env=JUPYTER_TOKEN=" + token

// withProbes is the flag of kubectl run that adds probes to the small server, so that its Pod is Ready when it serves.
const withProbes = "--annotations=jupyter-user.io/probes=on"

// jupyter is the API of a running Jupyter server, and a token that it takes.
type jupyter = lab.Server

// jupyter returns the API of the Pod's server. The Pod must be Ready.
func (p pod) jupyter(t *testing.T) jupyter {
	t.Helper()
	address := p.ready(t).Status.PodIP
	require.NotEmpty(t, address)
	return jupyter{Base: "http://" + address + ":8888/", Token: token}
}
