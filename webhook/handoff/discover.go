package handoff

// Discover is the init container's command line: find the owner of the user's home, deny who cannot be a user, and
// write the files of the scratch volume.
type Discover struct {
	// User whose home it is.
	User string
	// Homes is the directory in which the homes are, as the init container sees it.
	Homes string
	// Scratch is the directory to write into.
	Scratch string
	// Home of the user as the notebook will see it; it goes into passwd.
	Home string
	// Directories are those of the user beside the home, as the init container sees them: the user must own them too.
	Directories []string
	// MinUID, MinGID and DeniedGIDs are the floor.
	MinUID, MinGID int64
	DeniedGIDs     []int64
	// JupyterConfig are settings of Jupyter, as JSON (JupyterFiles); empty for those of the constant.
	JupyterConfig string
	// Umask of Jupyter, in octal digits; empty for the image's own.
	Umask string
	// Expect is the identity that the pod was admitted with; nil where the pod is to learn it here.
	Expect *Expected
}

// Expected is an identity that is already known: the owner has to be the UID, the rest goes into group.
type Expected struct {
	UID, GID int64
	Groups   []int64
}

const verbDiscover = "discover"

// JupyterConfigFlag is the name of the flag with Jupyter's settings.
const JupyterConfigFlag = "jupyter-config"

// deniedGIDsBefore is the flag by which a webhook of v0.1.0 writes DeniedGIDs.
const deniedGIDsBefore = "refused-gids"

// Args is the command line, without the binary in front.
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

// ParseDiscover reads what Args wrote.
func ParseDiscover(args []string) (Discover, error) {
	r := read(args, verbDiscover,
		"--user=", "--homes=", "--scratch=", "--home=", "--directories=", "--min-uid=", "--min-gid=", "--denied-gids=",
		"--"+deniedGIDsBefore+"=",
		"--jupyter-config=", "--umask=", "--uid=", "--gid=", "--groups=")
	d := Discover{
		User:    r.user(),
		Homes:   r.path("homes"),
		Scratch: r.path("scratch"),
		Home:    r.path("home"),

		Directories: r.list("directories"),

		MinUID:     r.number("min-uid"),
		MinGID:     r.number("min-gid"),
		DeniedGIDs: append(r.numbers("denied-gids"), r.numbers(deniedGIDsBefore)...),

		JupyterConfig: r.text(JupyterConfigFlag),
		Umask:         r.umask(),
	}
	if r.text("uid")+r.text("gid")+r.text("groups") != "" {
		d.Expect = &Expected{UID: r.number("uid"), GID: r.number("gid"), Groups: r.numbers("groups")}
	}
	if len(d.Directories) > 0 && d.Expect == nil {
		r.fail("--directories needs --uid: their owner is known before the Pod starts")
	}
	if r.ended {
		r.fail("%s runs nothing", verbDiscover)
	}
	return d, r.err
}
