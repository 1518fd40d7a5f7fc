package config

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxFurtherClaims limits the authorization checks of the chart's policy share.jupyter-user.io. The API server allows a policy
// 28 authorization checks for one Pod. The policy needs at most 18: for the share's claim and for each further claim it checks
// the verb "use" of the requester and the verb "run-as" of the Pod's ServiceAccount.
const maxFurtherClaims = 8

// FurtherClaims returns the further claims: the PersistentVolumeClaims that share.directories names, other than the
// share's. Each is returned once, in the order of the list.
func (s *Share) FurtherClaims() (names []string) {
	for _, dir := range s.Directories {
		if dir.ClaimName != "" && !slices.Contains(names, dir.ClaimName) {
			names = append(names, dir.ClaimName)
		}
	}
	return names
}

// validateFurtherClaim validates the name of a further claim, which is also the name of its volume.
func validateFurtherClaim(s *Share, at *field.Path, name string) field.ErrorList {
	switch name {
	case "":
		return nil
	case s.ClaimName:
		return field.ErrorList{field.Invalid(at, name, "must not be share.claimName: leave it out for a directory of the share")}
	case s.VolumeName:
		return field.ErrorList{field.Invalid(at, name, "must not be share.volumeName: the volume of a further claim has the "+
			"claim's name")}
	}
	var errs field.ErrorList
	for _, why := range validation.IsDNS1123Label(name) {
		errs = append(errs, field.Invalid(at, name, "must also be a valid name of a volume: "+why))
	}
	return errs
}
