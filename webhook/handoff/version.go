package handoff

// Version is the release that this is. Both programs, the image, the chart and the image that pods are given by default are of
// one release, and a test holds them together: what one of them writes into a pod, another reads.
const Version = "v0.2.0"
