package handoff

// Version is this release. Both programs, the image, the chart and the default init image are of one release, because one
// program reads what another writes into a Pod. A test compares them.
const Version = "v0.2.0"
