package config

import (
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func validateInit(i *Init, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if i.Image == "" {
		errs = append(errs, field.Required(path.Child("image"), "write the image of this webhook"))
	} else {
		errs = append(errs, invalid(path.Child("image"), i.Image, imageFaults(i.Image))...)
	}
	errs = append(errs, validateNames(i.AcceptedImages, path.Child("acceptedImages"), imageFaults)...)
	errs = append(errs, validateNames(i.ImagePullSecrets, path.Child("imagePullSecrets"), validation.IsDNS1123Subdomain)...)
	return append(errs, validateResources(&i.Resources, path.Child("resources"))...)
}

// reference is the grammar of image references in the project github.com/distribution/reference, with the two digest
// algorithms that container runtimes support. Its groups are the name, the tag and the digest.
var reference = regexp.MustCompile(`^(` +
	`(?:(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*` +
	`|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/)?` +
	`[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*` +
	`)(?::([0-9A-Za-z_][0-9A-Za-z_.-]{0,127}))?` +
	`(?:@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?$`)

// imageFaults returns the reasons why an image is invalid. It requires a digest, or a tag other than latest, because the init
// container and the webhook must be of one release.
func imageFaults(image string) []string {
	parts := reference.FindStringSubmatch(image)
	if parts == nil || len(parts[1]) > 255 {
		return []string{"must be an image reference, registry/name:tag or registry/name@sha256: and 64 hexadecimal " +
			"digits, with the name in lower case"}
	}
	const same = "the init container has to be of the same release as the webhook, and "
	switch tag, digest := parts[2], parts[3]; {
	case digest != "":
		return nil
	case tag == "":
		return []string{"must have a tag or a digest: " + same + "without one it is the image that was pushed last"}
	case tag == "latest":
		return []string{"must have a tag other than latest, or a digest: " + same + "latest is the image that was pushed last"}
	}
	return nil
}
