package config

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxDirectories bounds the mounts of a pod.
const maxDirectories = 32

func validateShare(s *Share, path *field.Path) field.ErrorList {
	errs := invalid(path.Child("claimName"), s.ClaimName, validation.IsDNS1123Subdomain(s.ClaimName))
	errs = append(errs, invalid(path.Child("volumeName"), s.VolumeName, validation.IsDNS1123Label(s.VolumeName))...)
	errs = append(errs, mountPath(path.Child("mountPath"), s.MountPath)...)
	errs = append(errs, homePattern(path.Child("home"), s.Home)...)
	errs = append(errs, validateDirectories(s, path.Child("directories"))...)
	exposures := []Exposure{ExposeNever, ExposeToTheUser, ExposeEvenToRoot}
	if !slices.Contains(exposures, s.ExposeEveryHome) {
		errs = append(errs, field.NotSupported(path.Child("exposeEveryHome"), s.ExposeEveryHome, exposures))
	}
	return errs
}

func validateDirectories(s *Share, path *field.Path) field.ErrorList {
	if len(s.Directories) > maxDirectories {
		return field.ErrorList{field.TooMany(path, len(s.Directories), maxDirectories)}
	}
	var errs field.ErrorList
	for i, dir := range s.Directories {
		at := path.Index(i)
		errs = append(errs, mountPath(at.Child("mountPath"), dir.MountPath)...)
		if wrong := subPath(at.Child("subPath"), dir.SubPath); len(wrong) > 0 {
			errs = append(errs, wrong...)
		} else if why := exposes(dir.SubPath, s.Home); why != "" {
			errs = append(errs, field.Invalid(at.Child("subPath"), dir.SubPath, why))
		}
		errs = append(errs, apartOnShare(s.Directories, i, path)...)
		errs = append(errs, validateAccess(at.Child("access"), dir.Access)...)
	}
	return errs
}

// apartOnShare denies a directory of the share that is, contains or lies in one before it in the list. It compares without regard
// to case, because a share may.
func apartOnShare(list []Directory, i int, path *field.Path) field.ErrorList {
	for j := range i {
		dir, other := list[i].SubPath, list[j].SubPath
		if dir != "" && other != "" && related(strings.ToLower(dir), strings.ToLower(other)) {
			return field.ErrorList{field.Invalid(path.Index(i).Child("subPath"), dir, fmt.Sprintf("must lie apart from %s (%s): one "+
				"directory would be seen with the access of the other", path.Index(j).Child("subPath"), other))}
		}
	}
	return nil
}

func validateAccess(at *field.Path, access Access) field.ErrorList {
	choices := []Access{AccessReadOnly, AccessReadWrite}
	switch {
	case access == "":
		return field.ErrorList{field.Required(at, "write ReadOnly, or ReadWrite to let file permissions say what a user may write")}
	case !slices.Contains(choices, access):
		return field.ErrorList{field.NotSupported(at, access, choices)}
	}
	return nil
}

// snapshots are the directories in which file servers keep the past of all the others, homes included.
var snapshots = sets.New(".snapshot", ".snapshots", "~snapshot", "#snapshot", ".zfs")

// exposes says why a directory of the share would show people each other's homes. It compares without regard to case,
// because a share may.
func exposes(dir string, home HomePattern) string {
	if home.meets(dir) {
		return fmt.Sprintf("must lie apart from share.home (%s): every user would see the homes of other users", home)
	}
	for part := range strings.SplitSeq(strings.ToLower(dir), "/") {
		if snapshots.Has(part) {
			return fmt.Sprintf("must not lead into %s: everybody would see what other people's homes were", part)
		}
	}
	return ""
}

// minScratch has room for the in-pod binary (under 4 MiB) and a few small files, and some to spare.
const minScratch = 8 << 20

func validateScratch(s *Scratch, path *field.Path) field.ErrorList {
	errs := invalid(path.Child("volumeName"), s.VolumeName, validation.IsDNS1123Label(s.VolumeName))
	errs = append(errs, mountPath(path.Child("mountPath"), s.MountPath)...)
	if s.SizeLimit.CmpInt64(minScratch) < 0 {
		errs = append(errs, field.Invalid(path.Child("sizeLimit"), s.SizeLimit.String(),
			"must be at least 8Mi: it holds the in-pod binary and a few small files"))
	} else if !wholeBytes(s.SizeLimit) {
		errs = append(errs, field.Invalid(path.Child("sizeLimit"), s.SizeLimit.String(), "must be whole bytes"))
	}
	return errs
}
