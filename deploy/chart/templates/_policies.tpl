{{/*
Texts that several policies share, and the site's values as CEL literals. The policies have no parameters: the text of each policy
contains the values of the cluster, so there is no object whose deletion could stop Pods.
*/}}

{{/*
A value, or a list of values, as a CEL literal in ASCII. Go and CEL quote and escape a string in the same way, and YAML's folded texts give
these characters no meaning. toJson would keep U+0085, which YAML reads as a line break, and U+007F, which YAML rejects.
*/}}
{{- define "cel" -}}
{{- if kindIs "slice" . -}}
[{{ range $i, $value := . }}{{ if $i }}, {{ end }}{{ printf "%+q" (toString $value) }}{{ end }}]
{{- else -}}
{{ printf "%+q" (toString .) }}
{{- end -}}
{{- end }}

{{/* The site's values that the policies are rendered from, as JSON. Paths are cleaned here, because CEL cannot clean a path. */}}
{{- define "site" -}}
{{- $c := include "effective" . | fromJson }}
{{- $source := include "source" . | fromYaml }}
{{- $volumes := append .Values.share.volumeNames (ternary "hpc-pv-*" "" (not (empty $source))) | compact | uniq }}
{{- $shares := list (dict "claim" $c.share.claimName "volumes" $volumes) }}
{{- range include "further-claims" . | fromJsonArray }}
  {{- $shares = append $shares (dict "claim" . "volumes" (dig . list $.Values.share.directoryVolumeNames)) }}
{{- end }}
{{- $claims := list }}{{ $volumes = list }}
{{- range $shares }}
  {{- $claims = append $claims .claim }}{{ $volumes = concat $volumes .volumes | uniq }}
  {{- $names := list }}{{ $beginnings := list }}{{ $directories := list }}{{ $patterns := list }}
  {{- range .volumes }}
    {{- if hasSuffix "*" . }}{{ $beginnings = append $beginnings (trimSuffix "*" .) }}{{ else }}{{ $names = append $names . }}{{ end }}
  {{- end }}
  {{- $claim := .claim }}
  {{- range $c.share.directories }}
    {{- if eq $claim (get . "claimName" | default $c.share.claimName) }}
      {{- if hasSuffix "/{user}" (get . "subPath") }}{{ $patterns = append $patterns (get . "subPath") }}
      {{- else }}{{ $directories = append $directories (get . "subPath") }}{{ end }}
    {{- end }}
  {{- end }}
  {{- $_ := set . "volumeNames" $names }}{{ $_ := set . "volumeBeginnings" $beginnings }}{{ $_ := set . "directories" $directories }}
  {{- $_ := set . "patterns" $patterns }}
{{- end }}
{{- $drivers := list }}
{{- range append .Values.share.csiDrivers (dig "csi" "driver" "" $source) | compact }}{{ $drivers = append $drivers (lower .) }}{{ end }}
{{- $paths := list }}{{ $above := list }}
{{- range concat .Values.share.hostPaths (list (dig "hostPath" "path" "" $source) (dig "local" "path" "" $source)) | compact }}
  {{- $at := "/" }}
  {{- range clean . | splitList "/" | compact }}{{ $above = append $above $at }}{{ $at = printf "%s%s/" $at . }}{{ end }}
  {{- $paths = append $paths $at }}
{{- end }}
{{- $kinds := list "azureFile" "cephfs" "fc" "flexVolume" "glusterfs" "iscsi" "portworxVolume" "quobyte" "rbd" "scaleIO" "storageos" }}
{{- $kinds = without (concat $kinds (keys $source)) "nfs" "csi" "hostPath" "local" | uniq | sortAlpha }}
{{- $share := first $shares }}
{{- if ne $c.share.exposeEveryHome "Never" }}{{ $_ := set $share "directories" (append $share.directories "") }}{{ end }}
{{- dict "shares" $shares "claims" $claims "volumes" $volumes "otherNFSServers" (.Values.share.otherNFSServers | default list)
  "csiDrivers" (uniq $drivers) "hostPaths" (uniq $paths)
  "above" (uniq $above) "kinds" $kinds "home" $c.share.home "homePrefix" $c.share.homePrefix "mountPath" $c.share.mountPath
  "scratchVolume" $c.scratch.volumeName
  "scratchPath" $c.scratch.mountPath "images" (prepend $c.init.acceptedImages $c.init.image) "hubComponents" $c.user.hubComponents
  "controllers" (.Values.access.controllers | default list) "schedulers" (.Values.access.schedulers | default list)
  "unservedNamespaces" (list "kube-system" .Release.Namespace) "podSecurity" .Values.podSecurity
  "ownHomes" .Values.access.ownHomes "onlyNamespaces" .Values.onlyNamespaces | toJson }}
{{- end }}

{{/*
The names of our annotations, without the prefix jupyter-user.io/, except "inject". A policy looks up each annotation by its
key, because CEL's processor time for iterating over a map grows with the square of its size.
*/}}
{{- define "annotations" -}}
user discovery identity home config container probes account-files home-in
{{- end }}

{{/* Whether a Pod is claimed, as in package webhook/user. A test compares this template and that package with one table of Pods. */}}
{{- define "claimed" -}}
{{- $components := include "cel" .site.hubComponents -}}
has({{ .pod }}.metadata.labels) && ('jupyter-user' in {{ .pod }}.metadata.labels ||
  'hub.jupyter.org/username' in {{ .pod }}.metadata.labels &&
  'hub.jupyter.org/username' in {{ .pod }}.metadata.?annotations.orValue({}) &&
  ({{ .pod }}.metadata.labels[?'component'].orValue('') in {{ $components }} ||
  {{ .pod }}.metadata.labels[?'app.kubernetes.io/component'].orValue('') in {{ $components }})) &&
{{ .pod }}.metadata.?annotations[?'jupyter-user.io/inject'].orValue('') != 'false'
{{- end }}

{{/* The match condition of policies and webhooks that are about claimed Pods. */}}
{{- define "claimed-pods" -}}
matchConditions:
  - name: claimed
    expression: >-
      {{- include "claimed" (dict "site" . "pod" "object") | nindent 6 }}
{{- end }}

{{/*
The directory above the home of variables.user, relative to the root of the share, as in config.HomePattern.Parent and
config.Share.HomeOf. It is empty for an invalid user name. With share.homePrefix, the home is the value of the annotation
jupyter-user.io/home, which the webhook writes; then the directory is also empty unless the home is below the prefix and
ends with the user's name.
*/}}
{{- define "policy.parent" -}}
{{- if .homePrefix -}}
{{- $prefix := printf "%s/" (trimSuffix "/" .homePrefix) | include "cel" -}}
- name: home
  expression: >-
    object.metadata.?annotations[?'jupyter-user.io/home'].orValue('')
- name: parent
  expression: >-
    variables.user.matches('^[A-Za-z0-9_][A-Za-z0-9._-]{0,31}$') && variables.home.size() <= 1024 &&
      variables.home.startsWith({{ $prefix }}) && variables.home.endsWith('/' + variables.user) &&
      variables.home.size() > {{ $prefix }}.size() + 1 + variables.user.size() &&
      !(variables.home + '/').contains('//') && !(variables.home + '/').contains('/./') && !(variables.home + '/').contains('/../') ?
      variables.home.substring({{ $prefix }}.size(), variables.home.size() - variables.user.size() - 1) : ''
{{- else -}}
- name: parent
  expression: >-
    !variables.user.matches('^[A-Za-z0-9_][A-Za-z0-9._-]{0,31}$') ? '' :
      {{ include "parent-by-pattern" .home }}
{{- end }}
{{- end }}

{{/* The directory above the user's directory, from a pattern such as home/{initial}/{user}. variables.user must be a valid name. */}}
{{- define "parent-by-pattern" -}}
{{- range $i, $literal := splitList "{initial}" (trimSuffix "/{user}" (toString .)) -}}
{{- if $i }} + variables.user.substring(0, 1) + {{ end }}{{ include "cel" $literal }}
{{- end }}
{{- end }}

{{/* The user of a claimed Pod, from the annotation that the webhook writes: only the webhook has the rules for finding the name. */}}
{{- define "policy.user" -}}
- name: user
  expression: >-
    object.metadata.?annotations[?'jupyter-user.io/user'].orValue('')
{{- end }}

{{/* Whether the requester is a part of Kubernetes, and whether the policies consider the rights of the requester. */}}
{{- define "policy.requester" -}}
- name: ofKubernetes
  expression: >-
    request.userInfo.username.startsWith('system:serviceaccount:kube-system:') ||
      request.userInfo.username.startsWith('system:node:') ||
      request.userInfo.username in ['system:kube-controller-manager', 'system:kube-scheduler']
# A controller acts for others, for example for the author of a Deployment, so the controller's own rights are ignored.
- name: requesterRightsApply
  expression: >-
    !variables.ofKubernetes && !(request.userInfo.username in {{ include "cel" .controllers }})
{{- end }}

{{/* The name of the Pod's ServiceAccount. */}}
{{- define "policy.account" -}}
- name: account
  expression: >-
    object.spec.?serviceAccountName.orValue('') == '' ? 'default' : object.spec.serviceAccountName
{{- end }}

{{/* Whether the home is the requester's own (ownHomes), and whether the requester has the verb use on it. */}}
{{- define "policy.own" -}}
- name: own
  expression: >-
    {{- if .ownHomes.enabled }}
    variables.user != '' && request.userInfo.username ==
      {{ include "cel" .ownHomes.prefix }} + variables.user + {{ include "cel" .ownHomes.suffix }}
    {{- else }}
    false
    {{- end }}
- name: mayUse
  expression: >-
    variables.requesterRightsApply &&
    authorizer.group('jupyter-user.io').resource('homes').namespace(request.namespace).name(variables.user).check('use')
    .allowed()
{{- end }}

{{/* The claims of directories other than the share's claim, each once, as JSON. */}}
{{- define "further-claims" -}}
{{- $share := (include "effective" . | fromJson).share }}
{{- $claims := list }}
{{- range $share.directories }}{{ if kindIs "map" . }}{{ $claims = append $claims (get . "claimName") }}{{ end }}{{ end }}
{{- without ($claims | compact | uniq) $share.claimName | toJson }}
{{- end }}

{{/*
Whether a request has a right to each claim that it needs: the share's, and each further claim. A right is the verb use of the requester, or
with runAs also the verb run-as of the Pod's ServiceAccount. `needs` is the name of the template with the condition under which a claim is
needed.
*/}}
{{- define "policy.shares" -}}
{{- $of := . }}
{{- range $i, $share := .site.shares }}
- name: needs{{ $i }}
  expression: >-
    {{- include $of.needs (dict "site" $of.site "share" $share) | nindent 4 }}
- name: may{{ $i }}
  expression: >-
    variables.requesterRightsApply && authorizer.group('jupyter-user.io').resource('shares').namespace(request.namespace)
      .name({{ include "cel" $share.claim }}).check('use').allowed()
      {{- if $of.runAs }} ||
    authorizer.serviceAccount(request.namespace, variables.account)
      .group('jupyter-user.io').resource('shares').namespace(request.namespace)
      .name({{ include "cel" $share.claim }}).check('run-as').allowed()
      {{- end }}
{{- end }}
- name: allowed
  expression: >-
    {{- range $i, $_ := .site.shares }}{{ if $i }} &&{{ end }}
    (!variables.needs{{ $i }} || variables.may{{ $i }})
    {{- end }}
# The claims that the message of a denial names: every claim that the request needs, also one to which the requester has the right,
# because a messageExpression has no authorizer.
- name: needed
  expression: >-
    ({{- range $i, $share := .site.shares }}{{ if $i }} +{{ end }}
    (variables.needs{{ $i }} ? [{{ include "cel" $share.claim }}] : [])
    {{- end }}).join(', ')
{{- end }}

{{/*
Whether a Pod needs the right to a claim. A volume of the claim needs it, unless the Pod is a notebook (variables.claimed).
A road (by-road) to the claim's storage always needs it. Most roads do not show where they lead, so such a road needs the
right to every claim. So does a Pod with more volumes or containers than the policies check (too-much).
*/}}
{{- define "pod-needs" -}}
variables.tooMuch || variables.anywhere || object.spec.?volumes.orValue([]).exists(v,
  !variables.claimed && v.?persistentVolumeClaim.claimName.orValue('') == {{ include "cel" .share.claim }} ||
  {{- include "by-ephemeral-claim" (dict "claims" (list .share.claim) "shares" (list .share)) | nindent 2 }})
{{- end }}

{{/*
Whether a request about any PersistentVolumeClaim needs the right to .share.claim, called "the guarded claim" here. It does
if it
- creates the guarded claim, deletes it, or changes its owners or its spec; but Kubernetes' own controllers may change its spec;
- binds another claim to a volume of the guarded claim;
- creates a copy of the guarded claim.
*/}}
{{- define "claim-needs" -}}
(variables.name == {{ include "cel" .share.claim }} ? !variables.same : [variables.volume].exists(n,
  {{- include "is-volume" (dict "shares" (list .share) "name" "n") | nindent 2 }})) ||
{{ include "cel" .share.claim }} in variables.sources
{{- end }}

{{/* Whether a snapshot needs the right to a claim. */}}
{{- define "snapshot-needs" -}}
request.resource.group == 'groupsnapshot.storage.k8s.io' ||
object.spec.?source.?persistentVolumeClaimName.orValue('') == {{ include "cel" .share.claim }}
{{- end }}

{{/* The variables that pod-needs uses. */}}
{{- define "policy.roads" -}}
- name: tooMuch
  expression: >-
    {{- include "too-much" .site | nindent 4 }}
- name: claimed
  expression: >-
    {{- include "claimed" . | nindent 4 }}
- name: anywhere
  expression: >-
    !variables.tooMuch && object.spec.?volumes.orValue([]).exists(v,
      {{- include "by-unknown-road" .site | nindent 6 }})
{{- end }}

{{/*
The Pods that the verifier checks: claimed Pods, and other Pods with an annotation of ours, with a container named
jupyter-user-init, or with more than 200 containers.
*/}}
{{- define "verified-pods" -}}
matchConditions:
  - name: claimed-or-marked
    expression: >-
      {{- include "claimed" (dict "site" .site "pod" "object") | nindent 6 }} ||
      has(object.metadata.annotations) && (
      {{- range $i, $key := splitList " " .annotations }}{{ if $i }} ||{{ end }}
        'jupyter-user.io/{{ $key }}' in object.metadata.annotations
      {{- end }}) ||
      object.spec.containers.size() + object.spec.?initContainers.orValue([]).size() > 200 ||
      object.spec.?initContainers.orValue([]).exists(c, c.name == 'jupyter-user-init') ||
      object.spec.containers.exists(c, c.name == 'jupyter-user-init')
{{- end }}

{{/*
Whether a Pod has more volumes or containers than the policies check. If a policy matches such a Pod, the Pod is treated as a Pod with the
share.
*/}}
{{- define "too-much" -}}
{{ include "too-many-volumes" . }} ||
object.spec.containers.size() + object.spec.?initContainers.orValue([]).size() +
  object.spec.?ephemeralContainers.orValue([]).size() > 200
{{- end }}

{{/* Whether a Pod has more volumes than the policies check. `has` costs less than an optional. */}}
{{- define "too-many-volumes" -}}
has(object.spec.volumes) && object.spec.volumes.size() > 500
{{- end }}

{{/*
Whether a volume v is of a kind that cannot lead to the share. The API server validates a Pod before the policies run, so a
volume has one source.
Nearly all volumes of ordinary Pods are of these kinds: checking this first halves the policy's cost for such a Pod.
*/}}
{{- define "leads-nowhere" -}}
has(v.projected) || has(v.emptyDir) || has(v.configMap) || has(v.secret) || has(v.downwardAPI)
{{- end }}

{{/*
Whether a Pod has the whole share: it is not claimed and has the share's claim or a further claim, or it has a road (by-road),
or it has more volumes than the policies check. The number of containers does not matter here: a Pod that has none of these
volumes has no way to the share. .pod is object or oldObject: the version of the Pod that must not be claimed. The API server evaluates
this for every new Pod of the cluster.
*/}}
{{- define "has-the-share" -}}
{{ include "too-many-volumes" . }} ||
has(object.spec.volumes) && object.spec.volumes.exists(v, !({{ include "leads-nowhere" . }}) && (
  {{- include "by-claim" .site | nindent 2 }} && !(
  {{- include "claimed" . | nindent 2 }}) ||
  {{- include "by-road" .site | nindent 2 }}))
{{- end }}

{{/* Whether a volume v has the share's claim or a further claim. */}}
{{- define "by-claim" -}}
v.?persistentVolumeClaim.claimName.orValue('') in {{ include "cel" .claims }}
{{- end }}

{{/* Whether a PersistentVolume, given by its name, is a volume of an element of .shares: of the share or of a further claim. */}}
{{- define "is-volume" -}}
{{- $name := .name -}}
(
{{- range $i, $share := .shares }}{{ if $i }} ||
  {{ end }}{{ $name }} in {{ include "cel" $share.volumeNames }}
  {{- range $share.volumeBeginnings }} ||
  {{ $name }}.startsWith({{ include "cel" . }})
  {{- end }}
{{- end }})
{{- end }}

{{/*
Whether a volume v is a road: a volume that leads to the storage of the share or of a further claim without the claim.
Inline NFS is a road except for the servers in otherNFSServers, because the share's server has too many names to list. A
hostPath is a road if it is one of the share's directories on the node, inside or above one, or longer than 512 characters.
*/}}
{{- define "by-road" -}}
{{ include "by-unknown-road" . }} ||
{{ include "by-ephemeral-claim" . }}
{{- end }}

{{/* Volumes whose target is not visible here: they may lead to the share or to a further claim. */}}
{{- define "by-unknown-road" -}}
{{- range .kinds }}has(v.{{ . }}) || {{ end }}
has(v.nfs) && !(v.nfs.server in {{ include "cel" .otherNFSServers }}) ||
has(v.csi) && v.csi.driver.lowerAscii() in {{ include "cel" .csiDrivers }}
{{- if .hostPaths }} ||
has(v.hostPath) && (v.hostPath.path.size() > 512 ||
  [('/' + v.hostPath.path.findAll('[^/.][^/]*|[.][^/]+').join('/') + '/').replace('//', '/')].exists(p,
    p in {{ include "cel" .above }} || {{ include "cel" .hostPaths }}.exists(q, p.startsWith(q))))
{{- end }}
{{- end }}

{{/*
Whether the claim of a generic ephemeral volume v has the name of a claim in .claims, has a volume of an element of .shares,
or is a copy of a claim in .claims.
*/}}
{{- define "by-ephemeral-claim" -}}
{{- $claims := include "cel" .claims -}}
has(v.ephemeral) && (object.metadata.name + '-' + v.name in {{ $claims }} ||
  [v.ephemeral.volumeClaimTemplate.spec.?volumeName.orValue('')].exists(n, {{ include "is-volume" (dict "shares" .shares "name" "n") }}) ||
  v.ephemeral.volumeClaimTemplate.spec.?dataSource.name.orValue('') in {{ $claims }} ||
  v.ephemeral.volumeClaimTemplate.spec.?dataSourceRef.name.orValue('') in {{ $claims }})
{{- end }}

{{/* The metadata of a policy or a binding. */}}
{{- define "policy.metadata" -}}
name: {{ .name }}.jupyter-user.io
labels:
  app.kubernetes.io/name: jupyter-user-webhook
annotations:
  {{- include "rendered" .root | nindent 2 }}
{{- end }}

{{/*
Selectors that match everything. The API server sets these fields where they are missing. Policies, bindings and webhook
configurations have all such fields, so that the check command can compare the installed objects with the rendered ones field by field.
*/}}
{{- define "policy.everywhere" -}}
matchPolicy: Equivalent
namespaceSelector: {}
objectSelector: {}
{{- end }}

{{/* The beginning of a policy: its name and the requests that it matches. */}}
{{- define "policy.head" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  {{- include "policy.metadata" . | nindent 2 }}
spec:
  failurePolicy: Fail
  matchConstraints:
    {{- include "policy.everywhere" . | nindent 4 }}
    resourceRules:
      - apiGroups: [""]
        apiVersions: [v1]
        operations: [{{ .operations }}]
        resources: [{{ .resources }}]
        scope: "*"
{{- end }}

{{/* The binding of a policy, for objects with any labels. */}}
{{- define "policy.binding" }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  {{- include "policy.metadata" . | nindent 2 }}
spec:
  policyName: {{ .name }}.jupyter-user.io
  {{ include "binding" .root }}
  {{- if .root.Values.onlyNamespaces }}
  matchResources:
    matchPolicy: Equivalent
    objectSelector: {}
    {{- include "only-namespaces" .root.Values.onlyNamespaces | nindent 4 }}
  {{- end }}
{{- end }}

{{/*
The bindings of a policy about claimed Pods. The API server checks labels before it runs CEL. A selector has no "or", so there are two
bindings.
*/}}
{{- define "policy.bindings" -}}
{{- range $of := list "" "hub-" }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  {{- include "policy.metadata" (dict "root" $.root "name" (print $of $.name)) | nindent 2 }}
spec:
  policyName: {{ $.name }}.jupyter-user.io
  {{ include "binding" $.root }}
  matchResources:
    matchPolicy: Equivalent
    objectSelector:
      matchExpressions:
        {{- if $of }}
        - key: hub.jupyter.org/username
          operator: Exists
        - key: jupyter-user
          operator: DoesNotExist
        {{- else }}
        - key: jupyter-user
          operator: Exists
        {{- end }}
    {{- include "only-namespaces" $.root.Values.onlyNamespaces | nindent 4 }}
{{- end }}
{{- end }}

{{- define "only-namespaces" -}}
{{- if . -}}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values: {{ toJson . }}
{{- else -}}
namespaceSelector: {}
{{- end }}
{{- end }}
