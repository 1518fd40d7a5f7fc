// Package webhook is the edge: the only place that knows an AdmissionReview exists.
//
// A review becomes a view of the pod, the name in it a user, the user perhaps an identity; these make a plan, the plan
// and the pod a patch, and the patch an answer. Decide is that way, for the server and for the command line; Handle is
// what surrounds it in the cluster.
package webhook
