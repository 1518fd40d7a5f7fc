package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// become changes the identity of this process to the user's, and then executes the command of the container, the hook or
// the probe. As root, it only reads uid-gid.env and sets the UID and GID. All later steps, which the image or the home can
// influence, run as the user.
func become(e handoff.Exec) error {
	owner, err := readOwner(e)
	if err != nil {
		return err
	}
	if err := setIdentity(owner); err != nil {
		return err
	}
	if err := enterHome(e, owner); err != nil {
		return err
	}
	// Hooks and probes do not try to write, because they run again and again. Only the container's own command has PID 1 or
	// --image-start.
	if os.Getpid() == 1 || e.Image != nil {
		err := tryWriting(e.Home, owner)
		if _, canStart := errors.AsType[notice](err); canStart {
			reportError(err, "")
		} else if err != nil {
			return err
		}
	}
	env := environment(os.Environ(), e, owner)
	argv, err := command(e)
	if err != nil {
		return err
	}
	program, err := lookUp(argv[0], owner)
	if err != nil {
		return err
	}
	err = syscall.Exec(program, argv, env) //nolint:gosec // running the Pod's command, as the user, is the purpose of this program
	return cannotRun(program, owner, err)
}

// lookUp returns the path of a program: its name if the name has a slash, else the first match in $PATH.
func lookUp(name string, owner handoff.Owner) (string, error) {
	if name == "" {
		return "", errors.New("the command is empty: its first word has to be a program, so correct the pod's command")
	}
	program, err := exec.LookPath(name)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		if closed := closedImage(); closed != "" {
			return "", fmt.Errorf("%s is not in this image, or %s (%d) may not see it: %s, or correct the pod's command",
				name, owner.Name, owner.UID, closed)
		}
		return "", fmt.Errorf("%s is not in this image: no directory of its $PATH has a program of this name, so correct the pod's "+
			"command", name)
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s is not in this image, so correct the pod's command", name)
	case err != nil:
		return "", cannotRun(name, owner, err)
	}
	return program, nil
}

// closedImage returns the cause and the remedy, as a part of a sentence, if the user may not enter a directory of $PATH; ""
// otherwise. LookPath returns the same error for a program in such a directory as for a program that does not exist.
func closedImage() string {
	const search = 1 // X_OK of access(2)
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if errors.Is(syscall.Access(dir, search), syscall.EACCES) {
			return dir + " in its $PATH is closed to other users than the image's own (permission denied), so ask for an image " +
				"whose programs every user may run"
		}
	}
	return ""
}

// cannotRun returns the error for a program that cannot be run. LookPath and execve return the same error for different
// causes, so cannotRun also looks at the file.
func cannotRun(program string, owner handoff.Owner, err error) error {
	info, statErr := os.Stat(program) //nolint:gosec // this process is the user, who may read the file anyway
	switch {
	case statErr == nil && info.IsDir():
		return fmt.Errorf("%s cannot be run: it is a directory, so correct the pod's command", program)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s cannot be run: %s (%d) may not execute it, so chmod a+x it, or name what is to run it", program,
			owner.Name, owner.UID)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s cannot be run: what it needs to run, such as the interpreter in its #! line, is not in this image",
			program)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%s cannot be run: %w (it is for another kind of machine, or a script without a #! line)", program, err)
	}
	return fmt.Errorf("%s cannot be run: %w, so correct the pod's command", program, cause(err))
}

// cause returns the error number (errno) in err, or err itself if it has none. Its text, such as "permission denied", is
// enough in a message that already names the path.
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// readOwner returns the owner of the home, from the file that the init container has written. Only the init container can
// write to the scratch volume, so the file can be trusted.
func readOwner(e handoff.Exec) (handoff.Owner, error) {
	file := filepath.Join(e.Scratch, handoff.EnvFile)
	data, err := os.ReadFile(file)
	if err != nil {
		return handoff.Owner{}, fmt.Errorf("the init container has not written the identity of %s: %w", e.User, err)
	}
	owner, err := handoff.ParseEnv(data)
	if err != nil {
		return handoff.Owner{}, fmt.Errorf("%s is not what the init container writes: %w", file, err)
	}
	if owner.Name != e.User {
		return handoff.Owner{}, fmt.Errorf("%s is about %s, but this container runs as %s", file, owner.Name, e.User)
	}
	return owner, nil
}

// setIdentity gives this process the UID and GID of the owner, and no other group. It needs the capabilities SETGID and
// SETUID. The process then cannot become root again: the kernel clears the capabilities when no UID is 0 any more, and
// no_new_privs, which the container has, prevents new ones. Also a process that already has the owner's UID must drop its
// other groups.
func setIdentity(owner handoff.Owner) error {
	uid, gid := int(owner.UID), int(owner.GID)
	for _, step := range []func() error{
		func() error { return syscall.Setgroups([]int{gid}) },
		func() error { return syscall.Setresgid(gid, gid, gid) },
		func() error { return syscall.Setresuid(uid, uid, uid) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("cannot become %d:%d: %w (the container needs to start as root with the capabilities SETUID and "+
				"SETGID, and without user namespaces that lack these numbers)", uid, gid, err)
		}
	}
	if os.Getuid() != uid || os.Geteuid() != uid || os.Getgid() != gid || os.Getegid() != gid || syscall.Setuid(0) == nil {
		return fmt.Errorf("this process does not run as %d:%d alone, so it stops", uid, gid)
	}
	return nil
}

// enterHome checks, as the user, that the mounted home has the owner and the inode number that the init container found.
// Then enterHome changes to the working directory, which is the home by default.
func enterHome(e handoff.Exec, owner handoff.Owner) error {
	stat, err := directory(e.Home)
	switch {
	case errors.Is(err, errNoDirectory) || errors.Is(err, errSymlink):
		return fmt.Errorf("%s is no directory", e.Home)
	case err != nil:
		return fmt.Errorf("the home %s is not there: %w, so create the Pod again", e.Home, cause(err))
	case stat.Ino != owner.HomeInode && stat.Dev != owner.HomeDevice:
		return fmt.Errorf("%s is on another file system than the one that the init container found: the home was mounted "+
			"meanwhile, or its mount has gone (autofs), or the runtime shows each mount as another file system (gVisor). Create the "+
			"Pod again; if it stays so, ask the admin to have the file system of the home mounted on the node before Pods start, or, "+
			"for a runtime such as gVisor, for discovery at admission", e.Home)
	case int64(stat.Uid) != owner.UID:
		return fmt.Errorf("%s belongs to UID %d now, and was %s's (%d) when the pod started: create the Pod again", e.Home, stat.Uid,
			e.User, owner.UID)
	case stat.Ino != owner.HomeInode:
		return fmt.Errorf("%s is another directory than the one that the init container found: it was replaced meanwhile. "+
			"Create the Pod again", e.Home)
	}
	dir := e.Home
	if e.WorkingDir != "" {
		dir = e.WorkingDir
	}
	if err := os.Chdir(dir); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%s (%d) may not enter %s: ask the admin about its mode", e.User, owner.UID, dir)
		}
		return fmt.Errorf("cannot start in %s: %w, so correct the pod's workingDir, or leave it out to start in the home", dir,
			cause(err))
	}
	return nil
}

// environment returns env with the variables of the user's identity, such as HOME and NB_UID. With --jupyter-config, the
// scratch volume, which has the webhook's settings for Jupyter, is the first directory in JUPYTER_CONFIG_PATH. An XDG
// directory in the image's own home becomes the same directory in the user's home.
func environment(env []string, e handoff.Exec, owner handoff.Owner) []string {
	ours := []string{
		"HOME=" + e.Home,
		"USER=" + e.User,
		"LOGNAME=" + e.User,
		"NB_USER=" + e.User,
		"NB_UID=" + strconv.FormatInt(owner.UID, 10),
		"NB_GID=" + strconv.FormatInt(owner.GID, 10),
	}
	if e.JupyterConfig {
		dirs := strings.TrimSuffix(e.Scratch+":"+lastValue(env, handoff.JupyterConfigVariable), ":")
		ours = append(ours, handoff.JupyterConfigVariable+"="+dirs)
	}
	kept := make([]string, 0, len(env)+len(ours))
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		if slices.ContainsFunc(ours, func(own string) bool { return strings.HasPrefix(own, name+"=") }) {
			continue
		}
		if strings.HasPrefix(name, "XDG_") {
			v = name + "=" + atHome(value, e.Home)
		}
		kept = append(kept, v)
	}
	return append(kept, ours...)
}

// lastValue returns the value of a variable; empty if the variable is missing. Of several entries it returns the last, as a
// shell does.
func lastValue(env []string, name string) (value string) {
	for _, v := range env {
		if text, ok := strings.CutPrefix(v, name+"="); ok {
			value = text
		}
	}
	return value
}

// atHome returns dir, with the user's home in place of the image's own home. Images of docker-stacks set
// XDG_CACHE_HOME=/home/jovyan/.cache/, a directory that belongs to jovyan.
func atHome(dir, home string) string {
	if below, ok := handoff.BelowImagesHome(dir, home); ok {
		return home + below
	}
	return dir
}
