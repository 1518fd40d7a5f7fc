{{/* Texts that several policies share. Each has the indentation of its first use. */}}

{{/* What concerns us about a new pod: a label, an annotation, the init container, a volume name of ours or the claim. */}}
{{- define "policy.concerns-us" -}}
- name: concerns-us
  expression: >-
    object.metadata.?labels.orValue({}).exists(k, k in ['jupyter-user', 'hub.jupyter.org/username']) ||
    object.metadata.?annotations.orValue({}).exists(k, k.startsWith('jupyter-user.io/')) ||
    object.spec.?initContainers.orValue([]).exists(c, c.name == 'jupyter-user-init') ||
    object.spec.containers.exists(c, c.name == 'jupyter-user-init') ||
    object.spec.?volumes.orValue([]).exists(v, v.name in [params.metadata.annotations.shareVolume, params.metadata.annotations.scratchVolume] ||
      v.?persistentVolumeClaim.claimName.orValue('') in params.metadata.annotations.claims.findAll(r'\S+'))
{{- end }}

{{/* Whose pod it is. */}}
{{- define "policy.user" -}}
# The webhook writes this annotation on every pod that it serves, over whatever was there: the rules for finding a name live
# there.
- name: user
  expression: >-
    object.metadata.?annotations[?'jupyter-user.io/user'].orValue('')
{{- end }}

{{/* Whether the request is a person's, or of a program that counts as one. */}}
{{- define "policy.person" -}}
# Controllers create pods on behalf of whoever wrote a Deployment or a Job. They never count.
- name: person
  expression: >-
    !(request.userInfo.username.startsWith('system:serviceaccount:kube-system:') ||
      request.userInfo.username.startsWith('system:node:') ||
      request.userInfo.username in ['system:kube-controller-manager', 'system:kube-scheduler'] ||
      request.userInfo.username in params.metadata.annotations.controllers.findAll(r'\S+'))
{{- end }}

{{/* The ServiceAccount of the pod. */}}
{{- define "policy.account" -}}
- name: account
  expression: >-
    object.spec.?serviceAccountName.orValue('') == '' ? 'default' : object.spec.serviceAccountName
{{- end }}

{{/* Whether the home is the requester's own, and whether the requester may use it. */}}
{{- define "policy.own" -}}
- name: own
  expression: >-
    params.metadata.annotations.ownHomes == 'Yes' && variables.user != '' &&
      request.userInfo.username == params.metadata.annotations.ownHomePrefix + variables.user + params.metadata.annotations.ownHomeSuffix
- name: mayUse
  expression: >-
    variables.person &&
    authorizer.group('jupyter-user.io').resource('homes').namespace(request.namespace).name(variables.user).check('use')
    .allowed()
{{- end }}

{{/* Whether the requester may use the share as it is. */}}
{{- define "policy.may-use-share" -}}
- name: mayUseShare
  expression: >-
    variables.person && authorizer.group('jupyter-user.io').resource('shares').namespace(request.namespace)
      .name(params.metadata.annotations.share).check('use').allowed()
{{- end }}

{{/* Whether the pod's ServiceAccount may. */}}
{{- define "policy.may-run-on-share" -}}
# Backups are Jobs, and a Job's pods are created by a controller.
- name: mayRunOnShare
  expression: >-
    authorizer.serviceAccount(request.namespace, variables.account)
      .group('jupyter-user.io').resource('shares').namespace(request.namespace)
      .name(params.metadata.annotations.share).check('run-as').allowed()
{{- end }}

{{/* What the parameters are. */}}
{{- define "policy.parameters" -}}
paramKind:
  apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
{{- end }}

{{/* Where the parameters are. */}}
{{- define "policy.parameters-of-binding" -}}
paramRef:
  name: jupyter-user-policy
  namespace: {{ .Release.Namespace }}
  parameterNotFoundAction: Deny
{{- end }}

{{/* Whether a volume v is another road to the share than its claims. */}}
{{- define "policy.road" -}}
has(v.nfs) && !(v.nfs.server in params.metadata.annotations.otherNFSServers.findAll(r'\S+')) ||
has(v.csi) && v.csi.driver in params.metadata.annotations.csiDrivers.findAll(r'\S+') || has(v.flexVolume) ||
has(v.hostPath) && params.metadata.annotations.hostPaths.findAll(r'\S+').exists(p,
  ('/' + v.hostPath.path.split('/').filter(s, s != '' && s != '.').join('/') + '/').replace('//', '/')
    .startsWith(('/' + p.split('/').filter(s, s != '' && s != '.').join('/') + '/').replace('//', '/')) ||
  ('/' + p.split('/').filter(s, s != '' && s != '.').join('/') + '/').replace('//', '/')
    .startsWith(('/' + v.hostPath.path.split('/').filter(s, s != '' && s != '.').join('/') + '/').replace('//', '/'))) ||
has(v.ephemeral) && (object.metadata.name + '-' + v.name in params.metadata.annotations.claims.findAll(r'\S+') ||
  v.ephemeral.volumeClaimTemplate.spec.?volumeName.orValue('') != '' &&
    params.metadata.annotations.volumes.findAll(r'\S+').exists(w, w.endsWith('*') ?
      v.ephemeral.volumeClaimTemplate.spec.volumeName.startsWith(w.replace('*', '')) :
      v.ephemeral.volumeClaimTemplate.spec.volumeName == w) ||
  v.ephemeral.volumeClaimTemplate.spec.?dataSource.name.orValue('') in params.metadata.annotations.claims.findAll(r'\S+') ||
  v.ephemeral.volumeClaimTemplate.spec.?dataSourceRef.name.orValue('') in params.metadata.annotations.claims.findAll(r'\S+'))
{{- end }}
