package nfs

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/lab"
)

// writeFileCommand has the last arguments of a kubectl run: a command that writes a file into the home, and then runs the
// small server of the image Plain.
var writeFileCommand = []string{"--command", "--", "sh", "-c", "echo made >made && exec hello"}

const token = "nfs-token"

// notebook has the arguments of runOn for a Pod, and the function that tests this Pod.
type notebook struct {
	node  string
	in    nfsNamespace
	user  string
	image string
	more  []string
	test  func(t *testing.T, p pod, h home)
}

// notebooks returns Pods for both versions of NFS and both discoveries. One Pod is a JupyterLab, one has a home that is a
// file system of its own, and one has a home whose owner is unknown to the ID mapper of the server. All homes are open only
// to their owners, and the server maps root to nobody. Each node has one emulated CPU, so the Pods are spread over two
// nodes.
func notebooks() map[string]notebook {
	return map[string]notebook{
		"v3-at-start":     {clientNode, start3, "alice", images.DockerStacks, []string{"--env=JUPYTER_TOKEN=" + token}, testLab},
		"v3-at-admission": {clientNode, admission3, "bob", images.Plain, writeFileCommand, assertOwnerServes},
		"v4-at-start":     {serverNode, start4, "qiang.guo03", images.Plain, writeFileCommand, assertOwnerServes},
		"v4-at-admission": {serverNode, admission4, "erin", images.Plain, writeFileCommand, assertOwnerServes},
		"v4-own-fs":       {serverNode, start4, "own-fs", images.Plain, writeFileCommand, assertOwnerServes},
		"v4-unmapped":     {serverNode, start4, "olga", images.Plain, writeFileCommand, assertUnmapped},
	}
}

// TestNotebooks starts the Pods that the function notebooks returns, at the same time, and tests each of them.
func TestNotebooks(t *testing.T) {
	needNFS(t)
	mapOwners(t, slices.DeleteFunc(slices.Clone(homes), func(h home) bool { return h.name == "olga" }))
	began := time.Now()
	running := map[string]pod{}
	for name, n := range notebooks() {
		running[name] = runOn(t, n.node, n.in, name, n.user, n.image, n.more...)
	}
	for name, n := range notebooks() {
		t.Run(name, func(t *testing.T) {
			n.test(t, running[name], homeOf(n.user))
			t.Logf("judged after %s", time.Since(began).Round(time.Second))
		})
	}
	removeAll(t, running)
}

func homeOf(name string) home {
	return homes[slices.IndexFunc(homes, func(h home) bool { return h.name == name })]
}

// assertOwnerServes asserts that the small server in the Pod runs as the owner of the home, and that the file which
// writeFileCommand wrote belongs to the owner on the disk of the NFS server.
func assertOwnerServes(t *testing.T, p pod, h home) {
	t.Helper()
	response, err := http.Get("http://" + p.ready(t).Status.PodIP + ":8888/")
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	want, err := json.Marshal(map[string]any{"uid": h.uid, "gid": h.gid, "groups": []int{h.gid}, "user": h.name, "home": "/home/" + h.name,
		"cwd": "/home/" + h.name})
	require.NoError(t, err)
	assert.JSONEq(t, string(want), string(body))
	assertOwned(t, h, "made")
}

// assertUnmapped asserts that the init container fails, because NFS cannot map the owner of the home.
func assertUnmapped(t *testing.T, p pod, _ home) {
	t.Helper()
	got := p.await(t, "to fail", func(pod *corev1.Pod) bool { return failure(pod) != "" })
	assert.Contains(t, failure(got), unmapped)
}

// assertOwned asserts that a file in a home belongs to the owner, on the disk of the NFS server.
func assertOwned(t *testing.T, h home, file string) {
	t.Helper()
	output, err := cluster.server.Must(t.Context(), "stat", "--format=%u:%g", "/srv/hpc/home/"+h.name+"/"+file)
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("%d:%d\n", h.uid, h.gid), output)
}

// testLab asserts that JupyterLab saves a notebook document as the owner of the home, and that a kernel runs as this owner.
func testLab(t *testing.T, p pod, h home) {
	t.Helper()
	server := lab.Server{Base: "http://" + p.ready(t).Status.PodIP + ":8888/", Token: token}
	server.Save(t, "saved.ipynb")
	assertOwned(t, h, "saved.ipynb")
	output := server.Kernel(t).Run(t, "import os; open('by-kernel', 'w').write('x'); print(os.getuid(), os.getgid(), os.getcwd())")
	assert.Equal(t, fmt.Sprintf("%d %d /home/%s\n", h.uid, h.gid, h.name), output)
	assertOwned(t, h, "by-kernel")
}

// TestOneUserOnTwoNodes runs two notebooks of one user on two clients of the NFS server. Each notebook writes a file into
// the home, and starts its server only after it has seen the file of the other notebook.
func TestOneUserOnTwoNodes(t *testing.T) {
	needNFS(t)
	_, err := cluster.server.Must(t.Context(), "sh", "-c", "rm -f /srv/hpc/home/kim/*")
	require.NoError(t, err)
	pods := map[string]pod{}
	for on, files := range map[string][2]string{serverNode: {"one", "other"}, clientNode: {"other", "one"}} {
		// A client can remember for a minute that a file is missing, unless the client itself makes a file in the directory. So
		// the command makes a link before each look for the other file.
		command := fmt.Sprintf("echo $$ >%[1]s; until ln -f %[1]s %[1]s.again && test -s %[2]s; do sleep 1; done; exec hello", files[0], files[1])
		pods[files[0]] = runOn(t, on, start4, files[0], "kim", images.Plain, "--command", "--", "sh", "-c", command)
	}
	for file, p := range pods {
		p.ready(t)
		assertOwned(t, homeOf("kim"), file)
	}
	removeAll(t, pods)
}
