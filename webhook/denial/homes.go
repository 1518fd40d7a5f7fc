package denial

// The denials of this file are about the home of the user on the share.

// HomeInUsers denies a home below a directory of the share that belongs to a user. owner is the UID of that user.
func HomeInUsers(name, dir string, owner int64) Denial {
	return forbidden("HomeUnusable", "", "the home of %s is in %s, which belongs to UID %d on the share: its owner could replace "+
		"a home with another directory; ask the admin to chown that directory to root", name, dir, owner)
}

// HomeInWritable denies a home below a directory of the share in which others than root may write. mode is the directory's.
func HomeInWritable(name, dir string, mode uint32) Denial {
	return forbidden("HomeUnusable", "", "the home of %s is in %s, in which others than root may write on the share (mode %04o): "+
		"they could replace a home with another directory; ask the admin for chmod go-w on that directory", name, dir, mode)
}

// HomeFieldUnusable denies a Pod of a user whose home field (share.homePrefix) is unusable. why continues a sentence that
// begins with "the home field". The message does not show the value of the field, because a requester who may not create
// Pods of this user can get the message too.
func HomeFieldUnusable(name, why string) Denial {
	return forbidden("HomeUnusable", "", "the home field of %s %s: ask the admin to correct it in the directory service, or in "+
		"the passwd file if that has the homes", name, why)
}

// HomeInUnknown denies a home below a directory whose owner the share does not show. why describes the owner that the share
// shows instead, such as nobody.
func HomeInUnknown(name, dir, why string) Denial {
	return forbidden("HomeUnusable", "", "the share does not show who owns %[2]s, which contains the home of %[1]s: %[3]s; ask "+
		"the admin to look at the ID mapping of NFS on the nodes and on the server", name, dir, why)
}

// HomeBehindLink denies a home below a symbolic link of the share.
func HomeBehindLink(name, link string) Denial {
	return forbidden("HomeUnusable", "", "the home of %s is behind %s, which is a symbolic link on the share: ask the admin to "+
		"put the directory itself there, or to set share.home to its real path", name, link)
}
