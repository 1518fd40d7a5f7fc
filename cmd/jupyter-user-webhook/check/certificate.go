package check

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"jupyter-user.io/jupyter-user-webhook/certs"
)

// expiresSoon is how long before the expiry of a certificate the check begins to warn. cert-manager and the Deployment
// jupyter-user-webhook-self-signed renew a certificate a month before its expiry, so by then the renewal has failed.
const expiresSoon = 7 * 24 * time.Hour

// certificate checks that each webhook entry has the CA that signed the serving certificate, and that the certificate is
// valid for the Service's name: otherwise the API server does not trust the webhook. It warns of a certificate that expires
// soon or will not be renewed.
func certificate(_ context.Context, s *state) []Finding {
	problems := s.whyNotIssued()
	if s.certificate.Name == "" && problems != "" {
		return []Finding{failed(certificates, "is missing, because %s: kubectl -n %s describe certificate,issuer shows more",
			problems, systemNamespace)}
	}
	if s.certificate.Name == "" {
		return []Finding{failed(certificates, "is missing: see why the Deployment jupyter-user-webhook-self-signed has not made "+
			"it, or cert-manager; or kubectl -n %s create secret tls %s --cert=tls.crt --key=tls.key", systemNamespace,
			certificateName)}
	}
	chain, err := chainOf(s.certificate.Data[corev1.TLSCertKey])
	if err != nil {
		return []Finding{failed(certificates, "has no certificate in tls.crt that can be read: %s", oneLine(err))}
	}
	entries := append(s.entries(mutatingWebhooks), s.entries(validatingWebhooks)...)
	if len(entries) == 0 {
		return []Finding{failed("", "there is no webhook configuration that could trust the certificate: %s", s.installAgain())}
	}
	var found []Finding
	distrust := s.distrust(chain, entries)
	for _, problem := range slices.Sorted(maps.Keys(distrust)) {
		found = append(found, failed("webhooks "+strings.Join(distrust[problem], ", "), "%s", problem))
	}
	leaf := chain[0]
	switch left := leaf.NotAfter.Sub(s.now); {
	case problems != "":
		found = append(found, warning(certificates, "is served until %s, and will not be renewed, because %s: kubectl -n %s "+
			"describe certificate,issuer shows more", day(leaf.NotAfter), problems, systemNamespace))
	case left > 0 && left < expiresSoon:
		found = append(found, warning(certificates, "expires on %s: renew it, or see why it was not renewed", day(leaf.NotAfter)))
	}
	if len(found) == 0 {
		found = append(found, ok(certificates, "is for %s until %s, and every webhook entry trusts it (%d)", serviceDNS,
			day(leaf.NotAfter), len(entries)))
	}
	return found
}

// whyNotIssued returns the reasons why cert-manager cannot issue the certificate; empty if there are none.
func (s *state) whyNotIssued() string {
	if len(s.issued.Items) == 0 {
		return ""
	}
	return strings.Join(certs.Issued{Issuers: s.issuers.Items, Certificates: s.issued.Items}.Problems(), "; ")
}

// entries returns the webhook entries of the chart's installed objects of one kind.
func (s *state) entries(what string) (found []map[string]any) {
	for _, configuration := range s.installed[what].Items {
		if isOurs(configuration) {
			found = append(found, objects(configuration.Object["webhooks"])...)
		}
	}
	return found
}

// distrust returns the names of the entries with which the API server does not trust the webhook, by the reason. In most
// clusters all entries have the same reason.
func (s *state) distrust(chain []*x509.Certificate, entries []map[string]any) map[string][]string {
	names := map[string][]string{}
	for i, entry := range entries {
		text, _, _ := unstructured.NestedString(entry, "clientConfig", "caBundle")
		if problem := s.untrusted(chain, text); problem != "" {
			names[problem] = append(names[problem], element(entry, i))
		}
	}
	return names
}

// untrusted returns the reason why an API server with a given caBundle does not trust the certificate; empty if the API
// server trusts it. The parameter "text" is the caBundle, in base64.
func (s *state) untrusted(chain []*x509.Certificate, text string) string {
	if text == "" {
		return "have an empty caBundle, so the API server trusts no server: see the log of the " +
			"Deployment jupyter-user-webhook-self-signed; with cert-manager, that its CA injector runs and the annotation " +
			"cert-manager.io/inject-ca-from is there; else write the CA's PEM in base64 into it"
	}
	bundle, err := base64.StdEncoding.DecodeString(text)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(bundle) {
		return "have a caBundle without a certificate: write the CA's PEM in base64 into it"
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{DNSName: serviceDNS, Roots: roots, Intermediates: between, CurrentTime: s.now})
	invalid := x509.CertificateInvalidError{}
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("do not trust the certificate in %s: %s: renew it (see the runbook: A certificate expired)",
			certificates, oneLine(err))
	case err != nil:
		return fmt.Sprintf("do not trust the certificate in %s: %s: the caBundle has to be the CA of this certificate, and the "+
			"certificate one for %s", certificates, oneLine(err), serviceDNS)
	}
	return ""
}

// chainOf reads the certificates of a PEM file; the first one is the serving certificate.
func chainOf(data []byte) (chain []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("there is none")
	}
	return chain, nil
}
