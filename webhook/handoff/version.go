package handoff

// Version is the version of this release. The webhook, jupyter-user-init, their image, the chart and the default init image
// must be of one release, because jupyter-user-init parses what the webhook writes into a Pod. TestCurrentVersion in test/docs
// compares these versions.
const Version = "v0.2.0"
