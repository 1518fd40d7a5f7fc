package handoff

// Discover is the init container's command line. jupyter-user-init finds the owner of the user's home, fails if the notebook
// must not run as this owner, and writes the files of the scratch volume.
type Discover struct {
	// User is the user's name, which is also the last part of the home's path on the share.
	User string
	// Homes is the directory above the user's home, as a path in the init container.
	Homes string
	// Scratch is the directory of the scratch volume, to which the init container writes.
	Scratch string
	// Home is the home's path in the notebook container, for the passwd file.
	Home string
	// Directories are the user's other directories (share.directories), as paths in the init container. The user must own
	// them too.
	Directories []string
	// MinUID, MinGID and DeniedGIDs are the floor (identity.Floor): the lowest UID and GID of a user, and GIDs that no user
	// may have.
	MinUID, MinGID int64
	DeniedGIDs     []int64
	// JupyterConfig has the settings of Jupyter, as JSON (JupyterFiles). If it is empty, the constant JupyterConfig is
	// used.
	JupyterConfig string
	// Umask is the umask of Jupyter, in octal digits. If it is empty, the image's umask stays.
	Umask string
	// Expect is the identity with which the Pod was admitted; nil with discovery at start.
	Expect *Expected
}

// Expected is an identity found at admission. The owner of the home must have this UID. The passwd and group files get this
// GID and these groups.
type Expected struct {
	UID, GID int64
	Groups   []int64
}

const verbDiscover = "discover"

// JupyterConfigFlag is the name of the flag with Jupyter's settings.
const JupyterConfigFlag = "jupyter-config"

// formerDeniedGIDsFlag is the name that the flag --denied-gids had in v0.1.0.
const formerDeniedGIDsFlag = "refused-gids"

// Args returns the command line, without the path of the binary.
func (d Discover) Args() []string {
	f := flags{args: append(make([]string, 0, usualFlags), verbDiscover)}
	f.text("user", d.User)
	f.text("homes", d.Homes)
	f.text("scratch", d.Scratch)
	f.text("home", d.Home)
	f.list("directories", d.Directories)
	f.number("min-uid", d.MinUID)
	f.number("min-gid", d.MinGID)
	f.numbers("denied-gids", d.DeniedGIDs)
	f.text(JupyterConfigFlag, d.JupyterConfig)
	f.text("umask", d.Umask)
	if d.Expect != nil {
		f.number("uid", d.Expect.UID)
		f.number("gid", d.Expect.GID)
		f.numbers("groups", d.Expect.Groups)
	}
	return f.args
}

// ParseDiscover parses the arguments that Args returns, also those of earlier releases.
func ParseDiscover(args []string) (Discover, error) {
	r := read(args, verbDiscover,
		"--user=", "--homes=", "--scratch=", "--home=", "--directories=", "--min-uid=", "--min-gid=", "--denied-gids=",
		"--"+formerDeniedGIDsFlag+"=",
		"--jupyter-config=", "--umask=", "--uid=", "--gid=", "--groups=")
	d := Discover{
		User:    r.user(),
		Homes:   r.path("homes"),
		Scratch: r.path("scratch"),
		Home:    r.path("home"),

		Directories: r.list("directories"),

		MinUID:     r.number("min-uid"),
		MinGID:     r.number("min-gid"),
		DeniedGIDs: append(r.numbers("denied-gids"), r.numbers(formerDeniedGIDsFlag)...),

		JupyterConfig: r.text(JupyterConfigFlag),
		Umask:         r.umask(),
	}
	if r.text("uid")+r.text("gid")+r.text("groups") != "" {
		d.Expect = &Expected{UID: r.number("uid"), GID: r.number("gid"), Groups: r.numbers("groups")}
	}
	if len(d.Directories) > 0 && d.Expect == nil {
		r.fail("--directories needs --uid")
	}
	if r.ended {
		r.fail("%s runs nothing", verbDiscover)
	}
	return d, r.err
}
