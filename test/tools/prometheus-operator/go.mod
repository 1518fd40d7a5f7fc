// The resource definitions of the Prometheus operator, with which the tests hold the chart's kinds against an API server. The tool is
// the one command of the module that imports nothing: what is used are the files.
module jupyter-user.io/jupyter-user-webhook/test/tools/prometheus-operator

go 1.26.0

tool github.com/prometheus-operator/prometheus-operator/example/alertmanager-webhook

require github.com/prometheus-operator/prometheus-operator v0.85.0 // indirect
