package server

import (
	admissionv1 "k8s.io/api/admission/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// warnResponse admits a Pod unchanged, with the decision as warnings: Warn mode changes and denies nothing, not even an
// unreadable Pod.
func warnResponse(d webhook.Decision) *admissionv1.AdmissionResponse {
	var warnings []string
	for _, denied := range d.Denials {
		warnings = append(warnings, denial.WouldBeDenied(denied))
	}
	if len(d.Denials) == 0 && len(d.Operations) > 0 {
		warnings = append(warnings, denial.WouldBecome(d.User.String(), string(d.Discovery), d.IdentityText()))
	}
	for _, warning := range d.Warnings {
		warnings = append(warnings, denial.WouldWarn(warning))
	}
	return &admissionv1.AdmissionResponse{Allowed: true, Warnings: denial.FirstWarnings(warnings)}
}
