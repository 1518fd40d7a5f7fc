package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// createObjects creates objects that a working installation has and the manifests do not: volume, claim, certificate and
// NetworkPolicy. It also writes the objects and statuses that controllers and kubelets would write.
func (l *checkedCluster) createObjects(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	deployment := &appsv1.Deployment{}
	require.NoError(t, l.Get(ctx, client.ObjectKey{Namespace: "jupyter-user-system", Name: "jupyter-user-webhook"}, deployment))
	deployment.Status = appsv1.DeploymentStatus{Replicas: 2, ReadyReplicas: 2, AvailableReplicas: 2}
	require.NoError(t, l.Status().Update(ctx, deployment))
	ca, crt, key := issueCertificate(t, "jupyter-user-webhook.jupyter-user-system.svc", 90*24*time.Hour)
	l.ca = ca
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	claim := shareClaim("lab")
	for _, object := range []client.Object{
		node, claim, shareVolume("hpc-pv-lab", "/export", "lab"),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "jupyter-user-system", Name: "jupyter-user-webhook-certs"},
			Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": crt, "tls.key": key}},
		&discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4,
			ObjectMeta: metav1.ObjectMeta{Namespace: "jupyter-user-system", Name: "jupyter-user-webhook-x",
				Labels: map[string]string{"kubernetes.io/service-name": "jupyter-user-webhook"}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}}, {Addresses: []string{"10.1.0.2"}}}},
	} {
		require.NoError(t, l.Create(ctx, object))
	}
	claim.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}
	require.NoError(t, l.Status().Update(ctx, claim))
	node.Status.Features = &corev1.NodeFeatures{SupplementalGroupsPolicy: new(true)}
	node.Status.NodeInfo = corev1.NodeSystemInfo{KubeletVersion: "v1.36.3", ContainerRuntimeVersion: "containerd://2.4.0"}
	require.NoError(t, l.Status().Update(ctx, node))
	// Namespace lab has the NetworkPolicy already. Namespace default can have notebooks too, so it gets the same
	// NetworkPolicy.
	policy := &networkingv1.NetworkPolicy{}
	require.NoError(t, l.Get(ctx, client.ObjectKey{Namespace: "lab", Name: "no-way-to-the-share"}, policy))
	require.NoError(t, l.Create(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: policy.Name},
		Spec: policy.Spec}))
}

func shareClaim(namespace string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "hpc-shared-pvc"},
		Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "hpc-pv-" + namespace, StorageClassName: new(""),
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceStorage: resource.MustParse("1Gi")}}},
	}
}

func shareVolume(name, path, namespace string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			ClaimRef:               &corev1.ObjectReference{Namespace: namespace, Name: "hpc-shared-pvc"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "192.0.2.10", Path: path}},
		},
	}
}

// issueCertificate returns the certificate of a new CA, and a certificate for a host with its key. The CA has signed the
// host's certificate. All three are PEM.
func issueCertificate(t *testing.T, host string, lifetime time.Duration) (ca, crt, key []byte) {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(lifetime)}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, caKey.Public(), caKey)
	require.NoError(t, err)
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, leafKey.Public(), caKey)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	require.NoError(t, err)
	encode := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return encode("CERTIFICATE", rootDER), encode("CERTIFICATE", leafDER), encode("PRIVATE KEY", keyDER)
}
