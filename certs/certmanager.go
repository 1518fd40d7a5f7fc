package certs

import (
	"fmt"
	"slices"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The names of the cert-manager objects of the authority. The serving certificate, and the Issuer that signs it, are named
// webhookName.
const (
	// caName is the name of the authority's Certificate and of its Secret.
	caName = webhookName + "-ca"
	// rootName is the name of the Issuer that signs the authority.
	rootName = webhookName + "-selfsigned"
)

const (
	caDuration   = 10 * 365 * 24 * time.Hour
	certDuration = 90 * 24 * time.Hour
	renewBefore  = 30 * 24 * time.Hour
)

// Issued are the objects for cert-manager: an authority that is valid for ten years, and a serving certificate that the
// authority signs and that is renewed every two months. The caBundle fields have the authority, so they stay right when
// the certificate is renewed. With a self-signed serving certificate, API servers would reject the webhook from each
// renewal until the caBundle fields are updated.
type Issued struct {
	Issuers      []certmanagerv1.Issuer
	Certificates []certmanagerv1.Certificate
}

// ByCertManager returns the objects with which cert-manager issues the serving certificate of a webhook in the namespace.
func ByCertManager(namespace string) Issued {
	i := Issued{
		Issuers: []certmanagerv1.Issuer{
			issuer(rootName, certmanagerv1.IssuerConfig{SelfSigned: &certmanagerv1.SelfSignedIssuer{}}),
			issuer(webhookName, certmanagerv1.IssuerConfig{CA: &certmanagerv1.CAIssuer{SecretName: caName}}),
		},
		Certificates: []certmanagerv1.Certificate{
			certificate(caName, certmanagerv1.CertificateSpec{
				IsCA: true, CommonName: caName, SecretName: caName, Duration: &metav1.Duration{Duration: caDuration},
				// The authority keeps its key when it is renewed, so that certificates signed before the renewal stay
				// trusted.
				PrivateKey: ecdsa(certmanagerv1.RotationPolicyNever),
				IssuerRef:  cmmeta.IssuerReference{Name: rootName, Kind: certmanagerv1.IssuerKind},
			}),
			certificate(webhookName, certmanagerv1.CertificateSpec{
				SecretName: secretName, DNSNames: []string{serviceDNS(namespace)},
				Duration: &metav1.Duration{Duration: certDuration}, RenewBefore: &metav1.Duration{Duration: renewBefore},
				PrivateKey: ecdsa(certmanagerv1.RotationPolicyAlways),
				IssuerRef:  cmmeta.IssuerReference{Name: webhookName, Kind: certmanagerv1.IssuerKind},
			}),
		},
	}
	for n := range i.Issuers {
		i.Issuers[n].Namespace = namespace
	}
	for n := range i.Certificates {
		i.Certificates[n].Namespace = namespace
	}
	return i
}

// ecdsa returns the settings for an ECDSA key on the curve P-256. A handshake with this key costs as much as five admission
// reviews, and a handshake with an RSA key much more.
func ecdsa(rotation certmanagerv1.PrivateKeyRotationPolicy) *certmanagerv1.CertificatePrivateKey {
	return &certmanagerv1.CertificatePrivateKey{Algorithm: certmanagerv1.ECDSAKeyAlgorithm, Size: 256, RotationPolicy: rotation}
}

func issuer(name string, config certmanagerv1.IssuerConfig) certmanagerv1.Issuer {
	return certmanagerv1.Issuer{
		TypeMeta:   metav1.TypeMeta{APIVersion: certmanagerv1.SchemeGroupVersion.String(), Kind: certmanagerv1.IssuerKind},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       certmanagerv1.IssuerSpec{IssuerConfig: config},
	}
}

func certificate(name string, spec certmanagerv1.CertificateSpec) certmanagerv1.Certificate {
	return certmanagerv1.Certificate{
		TypeMeta:   metav1.TypeMeta{APIVersion: certmanagerv1.SchemeGroupVersion.String(), Kind: certmanagerv1.CertificateKind},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       spec,
	}
}

// Problems returns the reasons why cert-manager has not issued the serving certificate; empty if all objects are ready.
// Problems of Issuers come first, then those of the authority, then those of the serving certificate, which waits for the
// authority.
func (i Issued) Problems() (problems []string) {
	wanted := ByCertManager("")
	for _, w := range wanted.Issuers {
		at := slices.IndexFunc(i.Issuers, func(has certmanagerv1.Issuer) bool { return has.Name == w.Name })
		if what := "the Issuer " + w.Name; at < 0 {
			problems = append(problems, what+" is not there")
		} else {
			problems = append(problems, readyIssuer(i.Issuers[at]).problem(what)...)
		}
	}
	for _, w := range wanted.Certificates {
		at := slices.IndexFunc(i.Certificates, func(has certmanagerv1.Certificate) bool { return has.Name == w.Name })
		if what := "the Certificate " + w.Name; at < 0 {
			problems = append(problems, what+" is not there")
		} else {
			problems = append(problems, readyCertificate(i.Certificates[at]).problem(what)...)
		}
	}
	return problems
}

// condition has the fields of a condition of an Issuer or of a Certificate, whose conditions have different Go types.
type condition struct {
	status          cmmeta.ConditionStatus
	reason, message string
}

func readyIssuer(i certmanagerv1.Issuer) *condition {
	for _, c := range i.Status.Conditions {
		if c.Type == certmanagerv1.IssuerConditionReady {
			return &condition{c.Status, c.Reason, c.Message}
		}
	}
	return nil
}

// readyCertificate returns the condition Ready. If the certificate is not ready and an issuance has failed, it returns the
// condition Issuing, which has the reason.
func readyCertificate(certificate certmanagerv1.Certificate) (ready *condition) {
	var issuing *condition
	for _, c := range certificate.Status.Conditions {
		switch c.Type {
		case certmanagerv1.CertificateConditionReady:
			ready = &condition{c.Status, c.Reason, c.Message}
		case certmanagerv1.CertificateConditionIssuing:
			issuing = &condition{c.Status, c.Reason, c.Message}
		}
	}
	if issuing != nil && issuing.status == cmmeta.ConditionFalse && (ready == nil || ready.status != cmmeta.ConditionTrue) {
		return issuing
	}
	return ready
}

func (c *condition) problem(certificate string) []string {
	switch {
	case c == nil:
		return []string{certificate + " has no condition yet: see that cert-manager runs, which gives it one"}
	case c.status == cmmeta.ConditionTrue:
		return nil
	}
	return []string{fmt.Sprintf("%s is not ready (%s): %s", certificate, c.reason, c.message)}
}
