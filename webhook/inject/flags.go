package inject

import (
	"regexp"
	"slices"
	"strings"
)

// This file reads the flags of Jupyter in a command line, as Jupyter does.

// flagSettings maps the flags of Jupyter that the webhook reads to the settings that they set. The keys are the last parts of
// the flags: "port" is for --port, --ServerApp.port, and the same flag of any other class that clientClass does not match.
var flagSettings = map[string]string{
	"port": "port", "base_url": "base_url", "certfile": "certfile", "sock": "sock", "ip": "ip",
	"client_ca": "client_ca", "client-ca": "client_ca",
	"config": "config", "config_file": "config", "root_dir": "root_dir", "notebook_dir": "root_dir", "notebook-dir": "root_dir",
	"preferred_dir": "preferred_dir", "preferred-dir": "preferred_dir",
}

// classSettings are like flagSettings, for flags that Jupyter knows only with a class, such as --ServerApp.token.
var classSettings = map[string]string{"token": "token", "password": "password", "hashed_password": "password"}

// jupyterFlags returns the values that a command line gives to the settings in flagSettings and classSettings. It reads
// --port 9999, --port=9999 and --ServerApp.port=9999. Of several values of one setting the last is used, as in Jupyter.
func jupyterFlags(argv []string) map[string]string {
	flags := map[string]string{}
	for i, arg := range argv {
		setting, value, inline := jupyterFlag(arg)
		switch {
		case setting == "":
		case inline:
			flags[setting] = value
		case i+1 < len(argv):
			flags[setting] = argv[i+1]
		}
	}
	return flags
}

// jupyterFlag parses an argument. setting is the setting that the argument sets (flagSettings, classSettings); empty if it
// sets none. If inline is true, value is the text after "=", as in --port=9999. Otherwise the next argument is the value, as
// in --port 9999.
func jupyterFlag(arg string) (setting, value string, inline bool) {
	name, ok := strings.CutPrefix(arg, "--")
	if !ok {
		return "", "", false
	}
	name, value, inline = strings.Cut(name, "=")
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		if class := name[:dot]; !className.MatchString(class) || clientClass.MatchString(class) {
			return "", "", false
		}
		name = name[dot+1:]
		if setting := classSettings[name]; setting != "" {
			return setting, value, inline
		}
	}
	return flagSettings[name], value, inline
}

var (
	// className matches what stands before the last dot of a flag: one class, as in --ServerApp.port, or several, as in
	// --MyApp.KernelManager.port.
	className = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)
	// clientClass matches classes that have settings of the same names as the server, such as ip: --KernelManager.ip is where
	// kernels listen, and --HubAuth.certfile is the certificate that the server shows to the hub.
	clientClass = regexp.MustCompile(`(Kernel[A-Za-z]*|HubO?Auth[A-Za-z]*)$`)
)

// unquoted returns the value that Jupyter takes from the text of a flag. Jupyter removes one pair of quotes around a text. No
// shell has removed them in an argument of a Pod such as --ServerApp.base_url='/nb/'. Around a number, such as the port, they
// are an error. The rule is that of Unicode.from_string in traitlets.
func unquoted(setting, text string) string {
	last := len(text) - 1
	if setting != "port" && last > 0 && (text[0] == '\'' || text[0] == '"') && text[last] == text[0] {
		return text[1:last]
	}
	return text
}

// openedArgument returns the directory or file in which Jupyter opens if no flag names a directory: the first argument, after
// the program, that is no flag and no value of a flag. It is empty if there is none.
func openedArgument(argv []string) string {
	for i := afterServer(argv); i < len(argv); i++ {
		switch {
		case takesNext(argv[i]):
			i++
		case !strings.HasPrefix(argv[i], "-"):
			return argv[i]
		}
	}
	return ""
}

// hasUnknownArgument reports whether an argument begins with a reference, such as $(NAME) or --$(NAME). Such an argument
// can be any flag, such as --port=9999. An argument that is the value of the flag before it does not count.
func hasUnknownArgument(argv []string) bool {
	for i, arg := range argv {
		if strings.HasPrefix(strings.TrimLeft(arg, "-"), "$(") && (i == 0 || !takesNext(argv[i-1])) {
			return true
		}
	}
	return false
}

// takesNext reports whether an argument is a flag whose value is the next argument, such as --port or --ServerApp.token.
func takesNext(arg string) bool {
	return strings.HasPrefix(arg, "--") && !strings.Contains(arg, "=") && !slices.Contains(flagsWithoutValue, arg)
}

// flagsWithoutValue are the flags of Jupyter Server, JupyterLab and Notebook that take no value.
var flagsWithoutValue = []string{"--allow-root", "--autoreload", "--collaborative", "--core-mode", "--debug", "--dev-mode",
	"--expose-app-in-browser", "--extensions-in-dev-mode", "--no-browser", "--no-mathjax", "--no-script", "--script",
	"--skip-dev-build", "--splice-source", "--watch"}
