package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"runtime"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// registerInfo registers the metrics with the version, the generation of the configuration, and the expiry of the serving
// certificate.
func registerInfo(registry prometheus.Registerer, c *config.Config,
	getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) error {
	build := info("jupyter_user_build_info", "Always 1: which version of the program this is.", prometheus.Labels{
		"version": version, "revision": revision(), "goversion": runtime.Version(),
	})
	configuration := info("jupyter_user_configuration_info", "Always 1: the generation of the configuration, as in the annotation "+
		"jupyter-user.io/config of each Pod, and the mode (Enforce, Warn).", prometheus.Labels{
		"generation": c.Generation(), "mode": string(c.Mode),
	})
	expiry := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "jupyter_user_certificate_expiry_timestamp_seconds",
		Help: "When the serving certificate that is in use ends; 0 while there is none.",
	}, func() float64 { return expiresAt(getCertificate) })
	return errors.Join(registry.Register(build), registry.Register(configuration), registry.Register(expiry))
}

// certificateMetrics returns controller-runtime's metrics about the certificate (certwatcher_…). It omits the others:
// "jupyter-user-webhook serve" runs no controllers, and itself registers the metrics of Go and of the process.
func certificateMetrics() ([]*dto.MetricFamily, error) {
	families, err := metrics.Registry.Gather()
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool {
		return !strings.HasPrefix(f.GetName(), "certwatcher_")
	}), err
}

func info(name, help string, labels prometheus.Labels) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return 1 })
}

func expiresAt(getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) float64 {
	inUse, err := getCertificate(&tls.ClientHelloInfo{})
	if err != nil || inUse == nil || len(inUse.Certificate) == 0 {
		return 0
	}
	leaf := inUse.Leaf
	if leaf == nil {
		if leaf, err = x509.ParseCertificate(inUse.Certificate[0]); err != nil {
			return 0
		}
	}
	return float64(leaf.NotAfter.Unix())
}
