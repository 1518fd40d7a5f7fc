package handoff

// Version is the version of this release. The webhook, the in-pod binary, their image, the chart and the default init image
// must be of one release, because the in-pod binary parses what the webhook writes into a Pod. A test compares these
// versions.
const Version = "v0.2.0"
