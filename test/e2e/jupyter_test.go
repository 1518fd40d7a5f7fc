package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/lab"
)

// token is the value of JUPYTER_TOKEN in the notebooks of these tests. deploy/docs/pods.md takes the token from a Secret
// instead.
const token = "e2e-token"

const withToken = "--env=JUPYTER_TOKEN=" + token

// withProbes is a flag of kubectl run. With this flag the webhook adds probes even if it does not know that Jupyter starts,
// so that the Pod is Ready only when its server responds.
const withProbes = "--annotations=jupyter-user.io/probes=on"

// jupyter is the address and the token of a running Jupyter server.
type jupyter = lab.Server

// jupyter waits until the Pod is Ready, and returns its server.
func (p pod) jupyter(t *testing.T) jupyter {
	t.Helper()
	address := p.ready(t).Status.PodIP
	require.NotEmpty(t, address)
	return jupyter{Base: "http://" + address + ":8888/", Token: token}
}
