package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// maxJupyterConfig is the maximum length of Jupyter's settings as JSON, in bytes. It is low because every notebook Pod
// carries them.
const maxJupyterConfig = 16 << 10

var (
	// className matches the name of a configurable class of Jupyter, or of an extension.
	className = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// secretTrait matches the names of settings whose value is a secret: token, password, hashed_password, cookie_secret.
	secretTrait = regexp.MustCompile(`(^|_)(token|password|secret)$`)
	servers     = []string{"ServerApp", "NotebookApp", "LabApp"}
)

func validateJupyterConfig(classes map[string]map[string]any, path *field.Path) (errs field.ErrorList) {
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		at := path.Key(class)
		if !className.MatchString(class) {
			errs = append(errs, field.Invalid(at, class, "must be a class of Jupyter, such as ServerApp"))
		}
		for _, trait := range slices.Sorted(maps.Keys(classes[class])) {
			switch {
			case secretTrait.MatchString(trait):
				errs = append(errs, field.Forbidden(at.Key(trait), "would be the same for every user, and is read by everyone "+
					"who reads this file or a Pod; remove it"))
			case slices.Contains(servers, class) && handoff.IsListenTrait(trait):
				errs = append(errs, field.Forbidden(at.Key(trait), "the webhook sets where Jupyter listens, because the probes "+
					"need it; write notebook.port, or remove this"))
			}
		}
	}
	// Values from a file can always be marshalled.
	if text, _ := json.Marshal(classes); len(text) > maxJupyterConfig {
		errs = append(errs, field.Invalid(path, fmt.Sprintf("%d bytes", len(text)),
			fmt.Sprintf("must be at most %d bytes as JSON, because every notebook's Pod has them", maxJupyterConfig)))
	}
	return errs
}

// umask matches the allowed values. A umask must not remove the user's own permissions: without them Jupyter could not read
// its own files.
var umask = regexp.MustCompile(`^00[0-7]{2}$`)

func validateUmask(text string, path *field.Path) field.ErrorList {
	if text == "" || umask.MatchString(text) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, text,
		`must be four octal digits in quotes, of which the first two are 0, such as "0027"`)}
}
