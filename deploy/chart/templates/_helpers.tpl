{{/* The webhook's image, with its digest if the values have one. */}}
{{- define "image" -}}
{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/*
The previous images of the webhook, as JSON: Pods that an old replica has injected have such an image in their init container.
The list is empty with image.acceptPrevious false. Otherwise it has the image in the cluster's ConfigMap or, if that is the
current image already, the images in the annotation of the ConfigMap. It also has the images of all replicas that run. The
list is read once for all templates, because they must agree.
*/}}
{{- define "previous-images" -}}
{{- if not (hasKey . "previousImages") }}
  {{- $images := list }}
  {{- if ne (toString .Values.image.acceptPrevious) "false" }}
    {{- $installed := lookup "v1" "ConfigMap" .Release.Namespace "jupyter-user-webhook" }}
    {{- $images = list (dig "init" "image" "" (dig "data" "config.yaml" "" $installed | fromYaml)) }}
    {{- if has (include "image" .) $images }}
      {{- $images = dig "metadata" "annotations" "jupyter-user.io/image-before" "" $installed | splitList " " }}
    {{- end }}
    {{- range dig "items" list (lookup "apps/v1" "ReplicaSet" .Release.Namespace "") }}
      {{- if and (dig "status" "replicas" 0 .) (eq "jupyter-user-webhook" (dig "metadata" "labels" "app.kubernetes.io/name" "" .)) }}
        {{- $images = append $images (first .spec.template.spec.containers).image }}
      {{- end }}
    {{- end }}
  {{- end }}
  {{- $_ := set . "previousImages" (without (compact $images | uniq) (include "image" .)) }}
{{- end }}
{{- toJson .previousImages }}
{{- end }}

{{/* The accepted images besides the current image: the previous images, and the images in the values; as JSON. */}}
{{- define "accepted" -}}
{{- $configured := concat .Values.image.accepted (dig "init" "acceptedImages" list (include "config-without-nulls" . | fromJson)) }}
{{- without (concat (include "previous-images" . | fromJsonArray) $configured | uniq) (include "image" .) | toJson }}
{{- end }}

{{/*
The webhook's configuration, mostly without settings that have their default. It is JSON, because YAML loses some
characters, and toYaml returns nothing, without an error, for a value that it cannot write.
*/}}
{{- define "configuration" -}}
{{- $init := dict "image" (include "image" .) }}
{{- with .Values.image.pullSecrets }}{{ $_ := set $init "imagePullSecrets" . }}{{ end }}
{{- $configuration := dict "init" $init }}
{{- if ne .Values.mode "Enforce" }}{{ $_ := set $configuration "mode" .Values.mode }}{{ end }}
{{- $share := dict }}
{{- with .Values.share.claimName }}{{ if ne . "hpc-shared-pvc" }}{{ $_ := set $share "claimName" . }}{{ end }}{{ end }}
{{- with .Values.share.fsGroup }}{{ if ne . "Remove" }}{{ $_ := set $share "fsGroup" . }}{{ end }}{{ end }}
{{- with .Values.share.home }}{{ $_ := set $share "home" . }}{{ end }}
{{- with .Values.share.homePrefix }}{{ $_ := set $share "homePrefix" . }}{{ end }}
{{- with .Values.share.directories }}{{ $_ := set $share "directories" . }}{{ end }}
{{- if $share }}{{ $_ := set $configuration "share" $share }}{{ end }}
{{- if .Values.identity.ldap.urls }}
  {{- $_ := set $configuration "identity" (dict "ldap" (include "ldap" .Values.identity.ldap | fromJson)) }}
{{- end }}
{{- if .Values.identity.hubNamesConfigMap }}{{ $_ := set $configuration "user" (dict "mapFile" "/hub-names/names") }}{{ end }}
{{- $configuration = mergeOverwrite $configuration (include "config-without-nulls" . | fromJson) }}
{{- $_ := unset $configuration.init "acceptedImages" }}
{{- with include "accepted" . | fromJsonArray }}{{ $_ := set $configuration.init "acceptedImages" . }}{{ end }}
{{- toJson $configuration }}
{{- end }}

{{/*
The value config without the keys and sections that are null, as JSON. The webhook takes null as the default, and so must the
policies.
*/}}
{{- define "config-without-nulls" -}}
{{- $config := dict }}
{{- range $name, $section := .Values.config }}
  {{- if kindIs "map" $section }}
    {{- $set := dict }}
    {{- range $key, $value := $section }}{{ if not (kindIs "invalid" $value) }}{{ $_ := set $set $key $value }}{{ end }}{{ end }}
    {{- if $set }}{{ $_ := set $config $name $set }}{{ end }}
  {{- else if not (kindIs "invalid" $section) }}{{ $_ := set $config $name $section }}{{ end }}
{{- end }}
{{- toJson $config }}
{{- end }}

{{/* The data of the ConfigMap: the configuration, and the CAs of the directory service. */}}
{{- define "configuration-files" -}}
config.yaml: |
  apiVersion: jupyter-user.io/v1alpha1
  kind: WebhookConfiguration
  {{- $configuration := include "configuration" . | fromJson | toYaml }}
  {{- if not $configuration }}{{ fail "config has a character that YAML cannot hold: take it out" }}{{ end }}
  {{- $configuration | nindent 2 }}
{{- with .Values.identity.ldap.ca }}
ldap-ca.crt: |
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The directory service in the configuration, with the paths where the Deployment mounts its files. */}}
{{- define "ldap" -}}
{{- $ldap := omit . "ca" "bindDN" "passwordSecret" "certificateSecret" }}
{{- if .ca }}{{ $_ := set $ldap "caFile" "/etc/jupyter-user/ldap-ca.crt" }}{{ end }}
{{- if .passwordSecret }}
  {{- $_ := set $ldap "bind" (dict "method" "Simple" "dn" .bindDN "passwordFile" "/ldap/password") }}
{{- else if .certificateSecret }}
  {{- $_ := set $ldap "bind" (dict "method" "External" "certificateFile" "/ldap/tls.crt" "keyFile" "/ldap/tls.key") }}
{{- end }}
{{- toJson $ldap }}
{{- end }}

{{/* The Secret with which the webhook authenticates to the directory service; empty for none. */}}
{{- define "ldap-secret" -}}
{{- with .Values.identity.ldap }}{{ if .urls }}{{ .passwordSecret | default .certificateSecret }}{{ end }}{{ end }}
{{- end }}

{{/* The ports of the directory service's servers. */}}
{{- define "ldap-ports" -}}
{{- $ports := list }}
{{- range .Values.identity.ldap.urls }}
  {{- $port := regexFind ":[0-9]+$" . | trimPrefix ":" }}
  {{- $ports = append $ports ($port | default (ternary "636" "389" (hasPrefix "ldaps:" .)) | int) }}
{{- end }}
{{- uniq $ports | toJson }}
{{- end }}

{{/* The configuration as JSON, with the defaults of the settings that the templates read. */}}
{{- define "effective" -}}
{{- $defaults := dict
  "share" (dict "claimName" "hpc-shared-pvc" "volumeName" "hpc-shared-volume" "mountPath" "/data/hpc" "home" "home/{user}"
    "homePrefix" "" "directories" list "exposeEveryHome" "Never")
  "user" (dict "hubComponents" (list "singleuser-server"))
  "scratch" (dict "volumeName" "uid-gid-config" "mountPath" "/config")
  "init" (dict "acceptedImages" list) }}
{{- mergeOverwrite $defaults (include "configuration" . | fromJson) | toJson }}
{{- end }}

{{/* The name of the share's claim, which is the same in each namespace. */}}
{{- define "claim" -}}
{{- (include "effective" . | fromJson).share.claimName }}
{{- end }}

{{/* The source of the share's PersistentVolumes, as in their spec; empty if the chart does not create them. */}}
{{- define "source" -}}
{{- if .Values.share.volume }}
  {{- toYaml .Values.share.volume }}
{{- else if .Values.share.nfs.server }}
  {{- dict "nfs" (dict "server" .Values.share.nfs.server "path" .Values.share.nfs.path) | toYaml }}
{{- end }}
{{- end }}

{{/* The CA of the webhook's certificate, if the values have it. Otherwise cert-manager or the self-signed Deployment writes it. */}}
{{- define "caBundle" -}}
{{- if eq .Values.certificates.source "secret" }}
      caBundle: {{ .Values.certificates.caBundle | b64enc }}
{{- end }}
{{- end }}

{{/*
An annotation of policies, bindings and webhook configurations: the version and a hash of all values from which the object
was rendered. It lets the check command distinguish an object of another version or of other values from a change by hand.
The annotation is no proof: anyone who may write the object may write the annotation too.
*/}}
{{- define "rendered" -}}
jupyter-user.io/rendered: {{ printf "%s-%s" .Chart.AppVersion (toJson .Values | sha256sum | trunc 12) }}
{{- end }}

{{/* What a binding does with a denial. */}}
{{- define "binding" -}}
{{- if eq .Values.mode "Warn" -}}
validationActions: [Warn, Audit]
{{- else -}}
validationActions: [Deny]
{{- end }}
{{- end }}

{{/* What happens to a Pod while the webhook does not respond: in Warn mode the Pod is admitted, because Warn mode denies nothing. */}}
{{- define "failurePolicy" -}}
{{ ternary "Ignore" "Fail" (eq .Values.mode "Warn") }}
{{- end }}

{{/* The namespaces whose Pods the API server sends to the webhook. */}}
{{- define "namespaces" -}}
{{- if .Values.onlyNamespaces -}}
- key: kubernetes.io/metadata.name
  operator: In
  values: {{ toJson .Values.onlyNamespaces }}
{{- else -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values: [kube-system, {{ .Release.Namespace }}]
{{- end }}
{{- end }}

{{/* The security context, the pull secrets and the nodes of our own Pods. */}}
{{- define "pod-settings" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ quote . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The metadata of an object of helm test. The argument is when Helm deletes the object. */}}
{{- define "test-metadata" }}
  labels:
    app.kubernetes.io/name: jupyter-user-webhook-test
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: {{ . }}
{{- end }}

{{/* The metadata of the objects for the Prometheus operator. */}}
{{- define "monitoring-metadata" }}
  name: jupyter-user-webhook
  namespace: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/name: jupyter-user-webhook
    {{- with .Values.monitoring.labels }}{{ toYaml . | nindent 4 }}{{ end }}
{{- end }}

{{/* A file of deploy/monitoring, with links to the runbook of the site. */}}
{{- define "monitoring-file" -}}
{{- $text := .root.Files.Get (print "monitoring/" .name) }}
{{- with .root.Values.monitoring.runbookURL }}
  {{- $text = regexReplaceAllLiteral "https://\\S+/deploy/docs/runbook\\.md" $text . }}
{{- end }}
{{- $text }}
{{- end }}
