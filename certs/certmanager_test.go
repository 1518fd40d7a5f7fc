package certs_test

import (
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/certs"
)

// ready returns the objects for cert-manager as they are after a successful issuance.
func ready() certs.Issued {
	i := certs.ByCertManager("jupyter-user-system")
	for n := range i.Issuers {
		i.Issuers[n].Status.Conditions = []certmanagerv1.IssuerCondition{{Type: "Ready", Status: cmmeta.ConditionTrue}}
	}
	for n := range i.Certificates {
		i.Certificates[n].Status.Conditions = []certmanagerv1.CertificateCondition{
			{Type: "Ready", Status: cmmeta.ConditionTrue},
			// With its feature gate ServerSideApply, cert-manager leaves this condition after a successful issuance.
			{Type: "Issuing", Status: cmmeta.ConditionFalse, Reason: "Issued"},
		}
	}
	return i
}

func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*certs.Issued)
		want   []string
	}{
		"all ready": {func(*certs.Issued) {}, nil},
		"another Certificate": {func(i *certs.Issued) {
			i.Certificates = append(i.Certificates, certmanagerv1.Certificate{})
		}, nil},
		"no authority": {func(i *certs.Issued) { i.Certificates = i.Certificates[1:] },
			[]string{"the Certificate jupyter-user-webhook-ca is not there"}},
		"no issuer": {func(i *certs.Issued) { i.Issuers = i.Issuers[:1] }, []string{"the Issuer jupyter-user-webhook is not there"}},
		"no cert-manager": {func(i *certs.Issued) { i.Certificates[1].Status.Conditions = nil },
			[]string{"the Certificate jupyter-user-webhook has no condition yet: see that cert-manager runs, which gives it one"}},
		"an issuer without its Secret": {func(i *certs.Issued) {
			i.Issuers[1].Status.Conditions[0] = certmanagerv1.IssuerCondition{Type: "Ready", Status: cmmeta.ConditionFalse,
				Reason: "ErrGetKeyPair", Message: `secrets "jupyter-user-webhook-ca" not found`}
		}, []string{`the Issuer jupyter-user-webhook is not ready (ErrGetKeyPair): secrets "jupyter-user-webhook-ca" not found`}},
		"failed issuance": {func(i *certs.Issued) {
			i.Certificates[1].Status.Conditions = []certmanagerv1.CertificateCondition{
				{Type: "Ready", Status: cmmeta.ConditionFalse, Reason: "DoesNotExist", Message: "Issuing certificate as Secret does not exist"},
				{Type: "Issuing", Status: cmmeta.ConditionFalse, Reason: "Failed", Message: "the request was denied"},
			}
		}, []string{"the Certificate jupyter-user-webhook is not ready (Failed): the request was denied"}},
		"running issuance": {func(i *certs.Issued) {
			i.Certificates[0].Status.Conditions = []certmanagerv1.CertificateCondition{
				{Type: "Issuing", Status: cmmeta.ConditionTrue, Reason: "DoesNotExist"},
				{Type: "Ready", Status: cmmeta.ConditionFalse, Reason: "DoesNotExist", Message: "Issuing certificate as Secret does not exist"},
			}
		}, []string{"the Certificate jupyter-user-webhook-ca is not ready (DoesNotExist): Issuing certificate as Secret does not exist"}},
	} {
		t.Run(name, func(t *testing.T) {
			i := ready()
			c.change(&i)
			assert.Equal(t, c.want, i.Problems())
		})
	}
}
