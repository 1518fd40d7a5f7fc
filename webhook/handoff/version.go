package handoff

// Version is this release. Both programs, the image, the chart and the default init image must be of one release, because one
// program reads what the other writes into a Pod. A test compares their versions.
const Version = "v0.2.0"
