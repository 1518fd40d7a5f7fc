//go:build !linux

package passwd

import "io/fs"

// ctime returns no time: the webhook serves on Linux only, and other commands read a file once.
func ctime(fs.FileInfo) (none struct{}) { return none }
