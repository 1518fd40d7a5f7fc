package config

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxDirectories limits the length of share.directories, because each element adds a mount to notebooks.
const maxDirectories = 32

func validateShare(s *Share, path *field.Path) field.ErrorList {
	errs := invalid(path.Child("claimName"), s.ClaimName, validation.IsDNS1123Subdomain(s.ClaimName))
	errs = append(errs, invalid(path.Child("volumeName"), s.VolumeName, validation.IsDNS1123Label(s.VolumeName))...)
	errs = append(errs, validateMountPath(path.Child("mountPath"), s.MountPath)...)
	errs = append(errs, validateHomePattern(path.Child("home"), s.Home)...)
	errs = append(errs, validateDirectories(s, path.Child("directories"))...)
	if further := s.FurtherClaims(); len(further) > maxFurtherClaims {
		errs = append(errs, field.Invalid(path.Child("directories"), len(further), fmt.Sprintf("must not be on more than %d claims "+
			"besides the share's: the API server looks up a right for each of them", maxFurtherClaims)))
	}
	errs = append(errs, oneOf(path.Child("exposeEveryHome"), s.ExposeEveryHome, ExposeNever, ExposeToTheUser, ExposeEvenToRoot)...)
	return append(errs, oneOf(path.Child("fsGroup"), s.FSGroup, FSGroupRemove, FSGroupKeep)...)
}

func validateDirectories(s *Share, path *field.Path) field.ErrorList {
	if len(s.Directories) > maxDirectories {
		return field.ErrorList{field.TooMany(path, len(s.Directories), maxDirectories)}
	}
	var errs field.ErrorList
	for i, dir := range s.Directories {
		at := path.Index(i)
		errs = append(errs, validateFurtherClaim(s, at.Child("claimName"), dir.ClaimName)...)
		errs = append(errs, validateDirectoryMountPath(at.Child("mountPath"), &dir)...)
		wrong := validateDirectorySubPath(s, at.Child("subPath"), dir)
		if len(wrong) == 0 {
			wrong = denyDirectoryOverlap(s.Directories, i, path)
		}
		errs = append(errs, wrong...)
		errs = append(errs, validateAccess(at.Child("access"), dir.Access)...)
	}
	return errs
}

// validateDirectorySubPath validates the path of a directory on its claim. For a further claim the path can be empty: then
// the whole claim is mounted.
func validateDirectorySubPath(s *Share, at *field.Path, dir Directory) field.ErrorList {
	if dir.ClaimName != "" && dir.SubPath == "" {
		return nil
	}
	wrong := validateRelativePath(at, dir.SubPath)
	if strings.ContainsAny(dir.SubPath, "{}") {
		wrong = validatePattern(at, HomePattern(dir.SubPath), "must not be directly in the root of the share or of the claim, where "+
			"the init container would see all of it: move the directories into one, such as users/{user}")
	}
	if len(wrong) > 0 {
		return wrong
	}
	why := snapshotFault(dir.SubPath)
	if dir.ClaimName == "" && s.Home.overlaps(dir.SubPath) {
		why = fmt.Sprintf("must lie apart from share.home (%s): every user would see the homes of other users", s.Home)
	}
	return faulty(at, dir.SubPath, why)
}

// denyDirectoryOverlap denies list[i] if it overlaps with an earlier directory on the same claim: the two are the same
// directory, or one contains the other. It ignores case, because some shares ignore case. It does not compare an earlier
// directory of the share without a subPath, because another check denies that directory.
func denyDirectoryOverlap(list []Directory, i int, path *field.Path) field.ErrorList {
	for j := range i {
		dir, other := list[i].SubPath, list[j].SubPath
		missing := list[j].ClaimName == "" && other == ""
		if list[i].ClaimName == list[j].ClaimName && !missing && HomePattern(dir).overlaps(other) {
			return field.ErrorList{field.Invalid(path.Index(i).Child("subPath"), dir, fmt.Sprintf("must lie apart from %s (%s): one "+
				"directory would be seen with the access of the other", path.Index(j).Child("subPath"),
				cmp.Or(other, "the whole of the claim")))}
		}
	}
	return nil
}

func validateAccess(at *field.Path, access Access) field.ErrorList {
	if access == "" {
		return field.ErrorList{field.Required(at,
			"write ReadOnly, or ReadWrite to let file permissions decide what a user may write")}
	}
	return oneOf(at, access, AccessReadOnly, AccessReadWrite)
}

// snapshots are the directories in which file servers keep old versions of all other directories, homes included.
var snapshots = sets.New(".snapshot", ".snapshots", "~snapshot", "#snapshot", ".zfs")

// snapshotFault returns an error text for a directory that is a snapshot directory or inside one: users would see old
// versions of other directories there. It ignores case, because some shares ignore case.
func snapshotFault(dir string) string {
	for part := range strings.SplitSeq(strings.ToLower(dir), "/") {
		if snapshots.Has(part) {
			return fmt.Sprintf("must not lead into %s: every user would see the names of other users' homes", part)
		}
	}
	return ""
}

// minScratch, in bytes, is enough for the program jupyter-user-init (under 4 MiB) and a few small files, with a reserve.
const minScratch = 8 << 20

func validateScratch(s *Scratch, path *field.Path) field.ErrorList {
	errs := invalid(path.Child("volumeName"), s.VolumeName, validation.IsDNS1123Label(s.VolumeName))
	errs = append(errs, validateMountPath(path.Child("mountPath"), s.MountPath)...)
	if s.SizeLimit.CmpInt64(minScratch) < 0 {
		errs = append(errs, field.Invalid(path.Child("sizeLimit"), s.SizeLimit.String(),
			"must be at least 8Mi: it holds jupyter-user-init and a few small files"))
	} else if !wholeBytes(s.SizeLimit) {
		errs = append(errs, field.Invalid(path.Child("sizeLimit"), s.SizeLimit.String(), "must be whole bytes"))
	}
	return errs
}
