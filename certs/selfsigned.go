package certs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/dynamic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// selfSignedName is the name of the Secret with the authority, and of the objects in 41-self-signed.yaml of the chart: the
// Deployment that runs rotate-certificates, its ServiceAccount, and its roles and their bindings. It is also the common name of
// the authority, and the field manager of what rotate-certificates applies.
const selfSignedName = webhookName + "-self-signed"

// backdated is the time by which the start of a certificate's validity is set back, because clocks differ.
const backdated = time.Hour

// sinceAnnotation is an annotation of the Secret that the webhook mounts. It has the time at which the certificate was
// written to this Secret.
const sinceAnnotation = "jupyter-user.io/since"

// The entries of the authority's Secret that have the authority's certificate and key, as cert-controller names them.
const (
	caCertKey = "ca.crt"
	caKeyKey  = "ca.key"
)

// SelfSigned makes the serving certificate without cert-manager, with its own authority, and makes the API server trust the
// authority.
//
// Authority and certificate are created and checked by the library open-policy-agent/cert-controller. The controller of
// that library is not used, because reviews fail while it renews the authority: API servers trust only the new authority
// as soon as it is in the Secret, but kubelets take up to a minute to mount the new certificate in each replica. That
// controller also does not create a deleted Secret again, and must list all Secrets of the namespace. In SelfSigned, each
// step waits for the previous step:
//
//  1. A new authority and a certificate signed by it are stored in a Secret that no Pod mounts.
//  2. The WebhookConfiguration objects get the new authority in addition to the old one.
//  3. After the time Every, in which API servers read this change, the certificate is written to the Secret that the
//     webhook mounts.
//  4. After the time Overlap, in which kubelets mount the new certificate, the old authority is removed from the
//     WebhookConfiguration objects.
//
// The Deployment that runs rotate-certificates has one replica. Two replicas at the same time would do no harm, because the
// API server rejects an update of an object that has changed since it was read.
type SelfSigned struct {
	// Namespace is the namespace of the webhook.
	Namespace string
	// Every is the interval of Run. It is also the shortest time between step 2 and step 3, in which API servers read the
	// new authority.
	Every time.Duration
	// Overlap is the time for which the old authority stays trusted after the new certificate was published.
	Overlap time.Duration
	Log     *slog.Logger

	secrets        corev1client.SecretInterface
	configurations dynamic.Interface
	maker          rotator.CertRotator
	// trusted is the authority in the WebhookConfiguration objects. trustedSince is the time at which this process found the
	// authority in these objects, or last updated one of them; the zero time if the certificate can be published at once.
	trusted      []byte
	trustedSince time.Time
}

// Connect creates the clients of the API server, and the maker of authorities and certificates.
func (s *SelfSigned) Connect(config *rest.Config) error {
	core, err := corev1client.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client of the cluster: %w", err)
	}
	if s.configurations, err = dynamic.NewForConfig(config); err != nil {
		return fmt.Errorf("make a client of the cluster: %w", err)
	}
	s.secrets = core.Secrets(s.Namespace)
	s.maker = rotator.CertRotator{
		CAName: selfSignedName, CAOrganization: s.Namespace, DNSName: serviceDNS(s.Namespace),
		CaCertDuration: caDuration, ServerCertDuration: certDuration, LookaheadInterval: renewBefore,
		ExtKeyUsages: &[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	return nil
}

// Run does the steps of the renewal that are due, once in each interval (Every), until the context ends. After an error,
// which is logged, the next interval tries again.
func (s *SelfSigned) Run(ctx context.Context) {
	ticker := time.NewTicker(s.Every)
	defer ticker.Stop()
	for {
		if err := s.runDueSteps(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.Log.Error("rotating the certificate", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *SelfSigned) runDueSteps(ctx context.Context, now time.Time) error {
	authoritySecret, err := s.ensureAuthority(ctx, now)
	if err != nil {
		return err
	}
	mounted, err := s.secrets.Get(ctx, secretName, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read the Secret %s: %w", secretName, err)
	}
	published := bytes.Equal(mounted.Data[corev1.TLSCertKey], authoritySecret.Data[corev1.TLSCertKey]) &&
		bytes.Equal(mounted.Data[corev1.TLSPrivateKeyKey], authoritySecret.Data[corev1.TLSPrivateKeyKey])
	since, err := time.Parse(time.RFC3339, mounted.Annotations[sinceAnnotation])
	alone := published && err == nil && now.Sub(since) > s.Overlap
	if err := s.trust(ctx, authoritySecret.Data[caCertKey], alone, now); err != nil {
		return err
	}
	if published || now.Sub(s.trustedSince) < s.Every {
		return nil
	}
	return s.publish(ctx, authoritySecret, mounted)
}

// ensureAuthority returns the Secret with the authority and the certificate. It first makes what is missing, invalid or
// about to expire.
func (s *SelfSigned) ensureAuthority(ctx context.Context, now time.Time) (*corev1.Secret, error) {
	authoritySecret, err := s.secrets.Get(ctx, selfSignedName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		authoritySecret, err = s.secrets.Apply(ctx, s.secret(selfSignedName, corev1.SecretTypeOpaque), apply)
	}
	if err != nil {
		return nil, fmt.Errorf("read the Secret %s: %w", selfSignedName, err)
	}
	renewed, err := s.renew(authoritySecret, now)
	if err != nil || renewed == "" {
		return authoritySecret, err
	}
	if authoritySecret, err = s.secrets.Update(ctx, authoritySecret, metav1.UpdateOptions{}); err != nil {
		return nil, fmt.Errorf("keep the certificate in the Secret %s: %w", selfSignedName, err)
	}
	s.Log.Info("made a certificate", "new", renewed, "secret", selfSignedName)
	return authoritySecret, nil
}

// renew replaces the certificate in authoritySecret if the certificate is missing, invalid or about to expire. If this is true
// of the authority, renew replaces authority and certificate. It returns the names of the replaced parts for the log; empty
// if nothing is replaced.
func (s *SelfSigned) renew(authoritySecret *corev1.Secret, now time.Time) (renewed string, err error) {
	soon, data := now.Add(renewBefore), authoritySecret.Data
	if good, _ := rotator.ValidCert(data[caCertKey], data[caCertKey], data[caKeyKey], s.maker.CAName, nil, soon); !good {
		made, err := s.maker.CreateCACert(now.Add(-backdated), now.Add(caDuration))
		if err != nil {
			return "", fmt.Errorf("make an authority: %w", err)
		}
		authoritySecret.Data = map[string][]byte{caCertKey: made.CertPEM, caKeyKey: made.KeyPEM}
		renewed, data = "authority and certificate", authoritySecret.Data
	}
	if good, _ := rotator.ValidCert(data[caCertKey], data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey], s.maker.DNSName,
		s.maker.ExtKeyUsages, soon); good {
		return "", nil
	}
	authority, err := artifacts(data[caCertKey], data[caKeyKey])
	if err != nil {
		return "", fmt.Errorf("read the authority in the Secret %s: %w", selfSignedName, err)
	}
	cert, key, err := s.maker.CreateCertPEM(authority, now.Add(-backdated), now.Add(certDuration))
	if err != nil {
		return "", fmt.Errorf("make a certificate: %w", err)
	}
	data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey] = cert, key
	return cmp.Or(renewed, "certificate"), nil
}

// artifacts converts an authority to the type of cert-controller.
func artifacts(cert, key []byte) (*rotator.KeyPairArtifacts, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	private, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("its key is not an RSA key")
	}
	return &rotator.KeyPairArtifacts{Cert: pair.Leaf, Key: private, CertPEM: cert, KeyPEM: key}, nil
}

// publish writes the certificate and the time, rounded up to a second, to the Secret that the webhook mounts. It does not
// use the time at which runDueSteps began, which is too early if the API server is slow: the old authority must stay trusted
// for the whole overlap after the write.
func (s *SelfSigned) publish(ctx context.Context, authoritySecret, mounted *corev1.Secret) error {
	since := time.Now().Add(time.Second).UTC().Format(time.RFC3339)
	with := s.secret(secretName, corev1.SecretTypeTLS).
		WithAnnotations(map[string]string{sinceAnnotation: since}).
		WithData(map[string][]byte{
			corev1.TLSCertKey:       authoritySecret.Data[corev1.TLSCertKey],
			corev1.TLSPrivateKeyKey: authoritySecret.Data[corev1.TLSPrivateKeyKey],
		})
	if mounted.ResourceVersion != "" {
		with = with.WithResourceVersion(mounted.ResourceVersion)
	}
	if _, err := s.secrets.Apply(ctx, with, apply); err != nil {
		return fmt.Errorf("put the certificate into the Secret %s: %w", secretName, err)
	}
	s.Log.Info("the webhook is given the certificate", "secret", secretName)
	return nil
}

// apply are the options of server-side apply, which also creates a missing Secret. A request of server-side apply names
// the Secret, so the resourceNames of the Role limit which Secrets can be created. A create request (POST) has no name
// that a Role could limit.
var apply = metav1.ApplyOptions{FieldManager: selfSignedName, Force: true}

func (s *SelfSigned) secret(name string, kind corev1.SecretType) *corev1ac.SecretApplyConfiguration {
	return corev1ac.Secret(name, s.Namespace).WithType(kind).WithLabels(map[string]string{"app.kubernetes.io/name": webhookName})
}
