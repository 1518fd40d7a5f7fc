package denial

import "fmt"

// The texts of this file are the reasons why no probes are added. ProbesLeftOut puts such a reason at the end of its
// warning.
const (
	OnUnixSocket      = "Jupyter is told to listen on a Unix socket (--sock)"
	WithoutSettings   = "Jupyter is told to read no settings (JUPYTER_NO_CONFIG)"
	ArgsQuoteOpen     = "NOTEBOOK_ARGS has a quote that is not closed"
	ArgsNotLiteral    = "NOTEBOOK_ARGS is not a literal value, so the webhook cannot read Jupyter's arguments"
	ArgumentVariable  = "an argument of Jupyter is a variable, which can be any flag: write the argument itself"
	HubURLWithoutPort = "JUPYTERHUB_SERVICE_URL is not a URL with a port that the webhook can read"
	BaseURLVariable   = "the base URL has a variable that the webhook cannot read"
)

// OnLoopback says that Jupyter listens on a loopback address. ip is that address, or the name localhost.
func OnLoopback(ip string) string {
	return "Jupyter is told to listen on " + Printable(ip) + " (--ip), which the kubelet cannot reach"
}

// SettingsFromFile says that a settings file, named by the flag --config, can set where Jupyter listens.
func SettingsFromFile(probesAnnotation string) string {
	return "Jupyter is told to read its settings from a file (--config), which may set another port, base URL, address or " +
		"certificate: repeat them as --port, --ServerApp.base_url, --ip and --certfile, or write your own probes and set the " +
		"annotation " + probesAnnotation + " to off"
}

// SettingsNotLiteral says that a variable that decides which settings Jupyter reads, such as JUPYTER_CONFIG_PATH, has no
// literal value.
func SettingsNotLiteral(variable string) string {
	return variable + " is not a literal value, so the webhook cannot tell where Jupyter's settings come from"
}

// SettingsOfCommand says that the command line sets a variable with the path of Jupyter's settings. Jupyter then does not
// find the webhook's settings.
func SettingsOfCommand(variable string) string {
	return "the command line sets " + variable + ", so Jupyter does not read the webhook's settings: set the variable in the " +
		"container's env"
}

// PortNotLiteral says that a variable with the port has no literal value.
func PortNotLiteral(variable string) string {
	return variable + " is not a literal value, so the webhook cannot read the port"
}

// PortUnreadable says that the value of a flag or variable is not a port. source is the name of the flag or variable.
func PortUnreadable(source string) string {
	return source + " is not a port that the webhook can read"
}

// BaseURLNotLiteral says that a variable with the base URL has no literal value.
func BaseURLNotLiteral(variable string) string {
	return variable + " is not a literal value, so the webhook cannot read the base URL"
}

// BaseURLTooLong says that the base URL is longer than the limit, in bytes.
func BaseURLTooLong(limit int) string {
	return fmt.Sprintf("the base URL is longer than %d bytes", limit)
}
