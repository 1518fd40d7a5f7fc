package config

import (
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

func validateNotebook(n *Notebook, path *field.Path) field.ErrorList {
	errs := validateNames(n.ContainerNames, path.Child("containerNames"), containerFaults)
	errs = append(errs, validateMountPath(path.Child("homes"), n.Homes)...)
	errs = append(errs, invalid(path.Child("port"), n.Port, validation.IsValidPortNum(int(n.Port)))...)
	errs = append(errs, validateEnv(n.Env, path.Child("env"))...)
	errs = append(errs, validateJupyterConfig(n.JupyterConfig, path.Child("jupyterConfig"))...)
	errs = append(errs, validateUmask(n.Umask, path.Child("umask"))...)
	errs = append(errs, validateResources(&n.Resources, path.Child("resources"))...)
	errs = append(errs, validateProbe(&n.Probes.Startup, path.Child("probes", "startup"))...)
	errs = append(errs, validateProbe(&n.Probes.Readiness, path.Child("probes", "readiness"))...)
	errs = append(errs, validateProbe(&n.Probes.Liveness, path.Child("probes", "liveness"))...)
	return append(errs, validateStarts(n.Starts, path.Child("starts"))...)
}

func containerFaults(name string) []string {
	if name == handoff.Container {
		return []string{"is the init container that the webhook adds itself, and cannot be a notebook"}
	}
	return validation.IsDNS1123Label(name)
}

var (
	// identityEnv are the variables that are set from the identity. One default for all users would be wrong.
	identityEnv = sets.New("NB_USER", "NB_UID", "NB_GID", "HOME", "USER", "LOGNAME")
	// secretEnv matches the names of variables whose value is a secret: JUPYTER_TOKEN, AWS_SECRET_ACCESS_KEY, DB_PASSWORD.
	secretEnv = regexp.MustCompile(`(?i)(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)(_|$)`)
)

func validateEnv(env []EnvVar, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, v := range env {
		name := path.Index(i).Child("name")
		switch {
		case v.Name == "":
			errs = append(errs, field.Required(name, "write the variable's name"))
		case identityEnv.Has(v.Name):
			errs = append(errs, field.Forbidden(name, v.Name+" is set from the user's identity; remove it"))
		case secretEnv.MatchString(v.Name):
			errs = append(errs, field.Forbidden(name, v.Name+" looks like a secret, and everyone who reads this file, a pod or the "+
				"log would see it; let the pod take it from a Secret"))
		case seen.Has(v.Name):
			errs = append(errs, field.Duplicate(name, v.Name))
		default:
			errs = append(errs, invalid(name, v.Name, validation.IsEnvVarName(v.Name))...)
		}
		seen.Insert(v.Name)
		if strings.Contains(v.Value, "\x00") {
			errs = append(errs, field.Forbidden(path.Index(i).Child("value"),
				"an environment cannot hold the character 0; remove it"))
		}
	}
	return errs
}

func validateProbe(p *Probe, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct {
		key   string
		value int32
	}{
		{"periodSeconds", p.PeriodSeconds}, {"timeoutSeconds", p.TimeoutSeconds}, {"failureThreshold", p.FailureThreshold},
	} {
		if f.value < 1 {
			errs = append(errs, field.Invalid(path.Child(f.key), f.value, "must be at least 1"))
		}
	}
	return errs
}

// imagePattern matches the characters of an image reference, and *.
var imagePattern = regexp.MustCompile(`^[A-Za-z0-9._:/@\[\]*-]+$`)

func validateStarts(starts []Start, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, start := range starts {
		at := path.Index(i)
		switch {
		case start.Image == "":
			errs = append(errs, field.Required(at.Child("image"), "write the image as in pods; * matches any characters"))
		case !imagePattern.MatchString(start.Image):
			errs = append(errs, field.Invalid(at.Child("image"), start.Image,
				"no image can match: must be an image as in pods, in which * matches any characters"))
		case seen.Has(start.Image):
			errs = append(errs, field.Duplicate(at.Child("image"), start.Image))
		}
		seen.Insert(start.Image)
		errs = append(errs, validateArgv(start, at)...)
	}
	return errs
}

func validateArgv(start Start, path *field.Path) field.ErrorList {
	program := path.Child("entrypoint")
	if len(start.Entrypoint) == 0 {
		program = path.Child("command")
	}
	argv := slices.Concat(start.Entrypoint, start.Command)
	if len(argv) == 0 {
		return field.ErrorList{field.Required(path.Child("entrypoint"),
			"write the image's ENTRYPOINT, or its CMD as command: there is nothing to run")}
	}
	var errs field.ErrorList
	if argv[0] == "" {
		errs = append(errs, field.Required(program.Index(0), "write the program that is run"))
	}
	errs = append(errs, validateArgs(start.Entrypoint, path.Child("entrypoint"))...)
	return append(errs, validateArgs(start.Command, path.Child("command"))...)
}

func validateArgs(args []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, arg := range args {
		if strings.Contains(arg, "\x00") {
			errs = append(errs, field.Forbidden(path.Index(i), "an argument cannot hold the character 0; remove it"))
		}
	}
	return errs
}
