// Package webhook decides about Pods. Decide returns how a created Pod must be changed, and Verify whether a final Pod is as
// planned. Neither handles HTTP or an AdmissionReview: package webhook/server calls them for the API server. The command
// inject calls Decide for a Pod in a file. The command check calls Verify for a Pod that the API server returned in a dry run.
//
// Decide and Verify take the same steps: decode the Pod, find the user that the Pod names, find the identity of the user,
// plan what the Pod must have, reconcile the Pod with the plan. Verify reads the identity from the Pod's annotations and
// confirms it at the sources of identities. Decide returns the operations that make the Pod as planned, or denials.
// Verify denies each field of ours that is not as planned.
//
// The packages webhook/identity/share and webhook/identity/lookups handle a share that hangs (deploy/docs/discovery.md).
// identities.go in this package turns their errors into denials.
//
// # Field ownership
//
// Each field in the table below is either ours (the webhook's) or the Pod's. Our fields are enforced: Decide replaces,
// removes or denies a different value, and Verify denies it. The Pod's fields are only defaulted: a different value is kept.
// There are two exceptions. A path in the image's own home is replaced: by the user's home in workingDir, in the arguments
// for root_dir and preferred_dir and in JUPYTERHUB_ROOT_DIR, and by the same directory of the user's home in XDG_* (package
// inject, imageshome.go and env.go). And JUPYTER_CONFIG_PATH is extended. "ours at start" means that the field is ours with
// discovery at start, and the Pod's with discovery at admission. "ours once admitted" means that the author of a Pod chooses
// the value, and that no later change of the value is allowed. "notebook" is the notebook container and "init" the init
// container jupyter-user-init. TestFieldOwnership tests this table line by line. The rows hold for the default
// configuration. If notebooks see more of the share than the home, the security context of the other containers is ours too
// (package inject, sidecars.go). The mounts and the security context of any other container that has the home are also ours
// (package inject, homein.go).
//
//	field                                                          | whose              | another value is
//	metadata.annotations[jupyter-user.io/user]                     | ours               | replaced
//	metadata.annotations[jupyter-user.io/discovery]                | ours               | replaced
//	metadata.annotations[jupyter-user.io/identity]                 | ours               | replaced
//	metadata.annotations[jupyter-user.io/home]                     | ours               | removed
//	metadata.annotations[jupyter-user.io/config]                   | ours               | replaced
//	metadata.annotations[jupyter-user.io/container]                | ours once admitted | denied
//	metadata.annotations[jupyter-user.io/inject] but false         | ours               | denied
//	metadata.annotations[jupyter-user.io/home-in] of no container  | ours               | denied
//	metadata.annotations[example.com/x]                            | the pod's          | kept
//	spec.volumes[share].persistentVolumeClaim.claimName            | ours               | denied
//	spec.volumes[share].persistentVolumeClaim.readOnly             | ours               | denied
//	spec.volumes[scratch].emptyDir.sizeLimit                       | ours               | replaced
//	spec.volumes[scratch].emptyDir.medium                          | ours               | removed
//	spec.volumes[another with the share's claim]                   | ours               | denied
//	spec.volumes[another]                                          | the pod's          | kept
//	spec.securityContext.supplementalGroups                        | ours               | denied
//	spec.securityContext.supplementalGroupsPolicy                  | ours               | replaced
//	spec.securityContext.fsGroup                                   | ours               | removed
//	spec.securityContext.runAsUser                                 | the pod's          | kept
//	spec.hostUsers                                                 | ours               | denied
//	spec.imagePullSecrets                                          | the pod's          | kept
//	spec.initContainers order                                      | ours               | replaced
//	init.image                                                     | ours               | replaced
//	init.imagePullPolicy                                           | the pod's          | kept
//	init.command                                                   | ours               | replaced
//	init.args                                                      | ours               | replaced
//	init.env                                                       | ours               | removed
//	init.envFrom                                                   | ours               | removed
//	init.workingDir                                                | ours               | removed
//	init.restartPolicy                                             | ours               | removed
//	init.restartPolicyRules                                        | ours               | removed
//	init.resources                                                 | the pod's          | kept
//	init.volumeMounts                                              | ours               | replaced
//	init.volumeMounts in /var/run/secrets                          | the pod's          | kept
//	init.volumeDevices                                             | ours               | removed
//	init.lifecycle                                                 | ours               | removed
//	init.startupProbe                                              | ours               | removed
//	init.readinessProbe                                            | ours               | removed
//	init.livenessProbe                                             | ours               | removed
//	init.stdin                                                     | ours               | removed
//	init.tty                                                       | ours               | removed
//	init.terminationMessagePath                                    | ours               | replaced
//	init.terminationMessagePolicy                                  | ours               | replaced
//	init.securityContext.runAsUser                                 | ours               | replaced
//	init.securityContext.runAsGroup                                | ours               | replaced
//	init.securityContext.runAsNonRoot                              | ours               | replaced
//	init.securityContext.readOnlyRootFilesystem                    | ours               | replaced
//	init.securityContext.allowPrivilegeEscalation                  | ours               | replaced
//	init.securityContext.capabilities                              | ours               | replaced
//	init.securityContext.seccompProfile                            | ours               | replaced
//	init.securityContext.privileged                                | ours               | removed
//	init.securityContext.procMount                                 | ours               | removed
//	init.securityContext.appArmorProfile                           | the pod's          | kept
//	init.securityContext.appArmorProfile without confinement       | ours               | removed
//	init.securityContext.seLinuxOptions                            | the pod's          | kept
//	init.securityContext.seLinuxOptions of no container            | ours               | removed
//	init.securityContext.windowsOptions                            | the pod's          | kept
//	init.securityContext.windowsOptions of a host process          | ours               | removed
//	notebook.image                                                 | the pod's          | kept
//	notebook.command                                               | ours at start      | replaced
//	notebook.args                                                  | the pod's          | kept
//	notebook.workingDir                                            | ours at start      | replaced
//	notebook.env[NB_USER]                                          | ours               | replaced
//	notebook.env[NB_UID]                                           | ours               | replaced
//	notebook.env[NB_GID]                                           | ours               | replaced
//	notebook.env[HOME]                                             | ours               | replaced
//	notebook.env[USER]                                             | ours               | replaced
//	notebook.env[LOGNAME]                                          | ours               | replaced
//	notebook.env[JUPYTER_ENABLE_LAB]                               | the pod's          | kept
//	notebook.env[XDG_CACHE_HOME]                                   | the pod's          | kept
//	notebook.env[JUPYTER_RUNTIME_DIR]                              | the pod's          | kept
//	notebook.env[JUPYTER_CONFIG_PATH]                              | the pod's          | kept
//	notebook.env[JUPYTERHUB_ROOT_DIR]                              | the pod's          | kept
//	notebook.ports                                                 | the pod's          | kept
//	notebook.resources                                             | the pod's          | kept
//	notebook.volumeMounts of the share                             | ours               | denied
//	notebook.volumeMounts of the scratch volume                    | ours               | denied
//	notebook.volumeMounts at a path of ours                        | ours               | denied
//	notebook.volumeMounts elsewhere                                | the pod's          | kept
//	notebook.volumeDevices of the share                            | ours               | denied
//	notebook.volumeDevices at a path of ours                       | ours               | denied
//	notebook.volumeDevices elsewhere                               | the pod's          | kept
//	notebook.env from the scratch volume                           | ours               | denied
//	another container's volumeMounts of the share                  | ours               | denied
//	another container's env from the scratch volume                | ours               | denied
//	another container's securityContext                            | the pod's          | kept
//	notebook.startupProbe                                          | the pod's          | kept
//	notebook.readinessProbe                                        | the pod's          | kept
//	notebook.livenessProbe                                         | the pod's          | kept
//	notebook.livenessProbe.exec.command                            | ours at start      | replaced
//	notebook.startupProbe.exec.command                             | ours at start      | replaced
//	notebook.readinessProbe.exec.command                           | ours at start      | replaced
//	notebook.lifecycle.postStart.exec.command                      | ours at start      | replaced
//	notebook.lifecycle.preStop.exec.command                        | ours at start      | replaced
//	notebook.terminationMessagePath at a path of ours              | ours               | denied
//	notebook.terminationMessagePath elsewhere                      | the pod's          | kept
//	notebook.securityContext.runAsUser                             | ours               | replaced
//	notebook.securityContext.runAsGroup                            | ours               | replaced
//	notebook.securityContext.runAsNonRoot                          | ours               | replaced
//	notebook.securityContext.allowPrivilegeEscalation              | ours               | replaced
//	notebook.securityContext.capabilities                          | ours               | replaced
//	notebook.securityContext.seccompProfile                        | ours               | replaced
//	notebook.securityContext.seccompProfile of a localhost profile | the pod's          | kept
//	notebook.securityContext.privileged                            | ours               | removed
//	notebook.securityContext.procMount                             | ours               | removed
//	notebook.securityContext.readOnlyRootFilesystem                | the pod's          | kept
package webhook
