{{- define "hitl.fullname" -}}
{{- .Values.fullnameOverride | default (.Release.Name | trunc 40 | trimSuffix "-") -}}
{{- end }}

{{- define "hitl.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end }}

{{- /* The labels that select pods. They never change while a release lives. Takes (list . "component"). */ -}}
{{- define "hitl.selector" -}}
{{- $top := first . -}}
app.kubernetes.io/name: {{ include "hitl.name" $top }}
app.kubernetes.io/instance: {{ $top.Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{- define "hitl.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "hitl.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: hitl
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* The labels of one component's objects. Takes (list . "component"). */ -}}
{{- define "hitl.componentLabels" -}}
{{ include "hitl.labels" (first .) }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{- define "hitl.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* The common part of every pod, as Pod Security `restricted` requires it. */ -}}
{{- define "hitl.podSecurity" -}}
# Else a Service named hitl would set HITL_PORT.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "hitl.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- /* Where a pod may run, from the values of its component. */ -}}
{{- define "hitl.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- /* The roots as a JSON list, with the one of `storage` named default. */ -}}
{{- define "hitl.roots" -}}
{{- $roots := list -}}
{{- if .Values.roots -}}
{{- $roots = .Values.roots -}}
{{- else if .Values.storage.embedded.enabled -}}
{{- $endpoint := printf "http://%s-storage.%s.svc:8333" (include "hitl.fullname" .) .Release.Namespace -}}
{{- $options := dict "endpoint" $endpoint "region" "us-east-1" "client_options" (dict "allow_http" true) -}}
{{- $roots = list (dict "name" "default" "url" "s3://hitl/hitl" "options" $options "endpoint" .Values.endpoint
  "existingSecret" (printf "%s-storage" (include "hitl.fullname" .))) -}}
{{- else -}}
{{- $roots = list (dict "name" "default" "url" .Values.storage.url "options" .Values.storage.options
  "endpoint" .Values.endpoint "existingSecret" .Values.storage.existingSecret) -}}
{{- end -}}
{{- $all := list -}}
{{- range $roots -}}
{{- $service := include "hitl.webappName" (list $ .name) -}}
{{- $all = append $all (dict "name" .name "url" .url "options" (.options | default dict)
  "namespaces" (.namespaces | default list) "existingSecret" (.existingSecret | default "") "public" (.endpoint | default "")
  "endpoint" (.endpoint | default (printf "http://%s.%s.svc" $service $.Release.Namespace)) "service" $service) -}}
{{- end -}}
{{- $all | toJson -}}
{{- end }}

{{- /* The name of a root's web app. Takes (list . "root"). */ -}}
{{- define "hitl.webappName" -}}
{{- include "hitl.fullname" (first .) }}-webapp{{ if ne (last .) "default" }}-{{ last . }}{{ end }}
{{- end }}

{{- /* The Secret with the credentials that the operator gets, or nothing. */ -}}
{{- define "hitl.operatorCredentials" -}}
{{- if .Values.storage.embedded.enabled }}{{ include "hitl.fullname" . }}-storage{{ else }}{{ .Values.storage.existingSecret }}{{ end }}
{{- end }}

{{- /* Whether the API server stamps who answered: "true" or nothing. */ -}}
{{- define "hitl.stamps" -}}
{{- if .Values.identity.policies -}}
{{- $wanted := .Values.identity.mutatingAdmissionPolicy | toString -}}
{{- if or (eq $wanted "true") (and (eq $wanted "auto")
  (.Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy")) -}}
true
{{- end -}}
{{- end -}}
{{- end }}

{{- /* The operator as admission sees it. */ -}}
{{- define "hitl.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "hitl.fullname" . }}-operator
{{- end }}

{{- /* Refuses invalid values. */ -}}
{{- define "hitl.validate" -}}
{{- $storage := .Values.storage -}}
{{- $given := len (compact (list $storage.url (ternary "embedded" "" $storage.embedded.enabled) (ternary "roots" "" (gt (len .Values.roots) 0)))) -}}
{{- if eq $given 0 -}}
{{- fail "say where the questions are kept: set storage.url (s3://bucket/prefix, gs://…, az://…), or storage.embedded.enabled=true to try it out" -}}
{{- else if gt $given 1 -}}
{{- fail "set only one of storage.url, storage.embedded.enabled and roots" -}}
{{- end -}}
{{- $names := list -}}{{- $namespaces := list -}}{{- $urls := list -}}
{{- range .Values.roots -}}
{{- $names = append $names .name -}}{{- $namespaces = concat $namespaces .namespaces -}}
{{- $urls = append $urls (trimSuffix "/" .url) -}}
{{- end -}}
{{- if ne (len $names) (len (uniq $names)) -}}
{{- fail "two roots have the same name: give each its own" -}}
{{- end -}}
{{- if ne (len $namespaces) (len (uniq $namespaces)) -}}
{{- fail "a namespace belongs to two roots: name it in one only" -}}
{{- end -}}
{{- if .Values.roots -}}
{{- if ne (len $urls) (len (uniq $urls)) -}}
{{- fail "two roots have the same url: who can write there answers in both" -}}
{{- end -}}
{{- if or .Values.endpoint $storage.options -}}
{{- fail "each of the roots has an endpoint and options of its own: set them there, not endpoint and storage.options" -}}
{{- end -}}
{{- range $namespaces -}}
{{- if and $.Values.namespaces (not (has . $.Values.namespaces)) -}}
{{- fail (printf "the roots name the namespace %s, in which the operator has no rights: add it to namespaces, or leave namespaces empty" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.auth "proxy") (eq .Values.webapp.mode "managed") (not .Values.webapp.proxy.existingSecret) -}}
{{- fail "auth=proxy needs webapp.proxy.existingSecret: without a shared secret anybody could send the proxy's headers" -}}
{{- end -}}
{{- if and (eq .Values.auth "oidc") (eq .Values.webapp.mode "managed") -}}
{{- include "hitl.validateOidc" . -}}
{{- end -}}
{{- with .Values.policy.defaultApproval -}}
{{- if and .requiredResponses (not .allowLinks) (not (include "hitl.stamps" $))
  (or (gt (int .requiredResponses) 1) (gt (int .rejections) 1) .groups .excludeRequester) -}}
{{- fail "policy.defaultApproval needs an API server that stamps who votes: see identity.mutatingAdmissionPolicy, or set allowLinks" -}}
{{- end -}}
{{- $grouped := 0 -}}{{- $groups := list -}}
{{- range .groups -}}
{{- $grouped = add $grouped .required -}}{{- $groups = append $groups .name -}}
{{- end -}}
{{- if and .requiredResponses (gt (int $grouped) (int .requiredResponses)) -}}
{{- fail (printf "policy.defaultApproval: the groups need %d people, as each person counts for one group: raise requiredResponses" (int $grouped)) -}}
{{- end -}}
{{- if ne (len $groups) (len (uniq $groups)) -}}
{{- fail "policy.defaultApproval: a group is there twice: name it once" -}}
{{- end -}}
{{- if and .requiredResponses .allowLinks (or .groups .excludeRequester) -}}
{{- fail "policy.defaultApproval: a link does not say who uses it: leave out allowLinks, or groups and excludeRequester" -}}
{{- end -}}
{{- end -}}
{{- if or .Values.webapp.ingress.enabled .Values.webapp.httpRoute.enabled -}}
{{- range include "hitl.roots" . | fromJsonArray -}}
{{- if not .public -}}
{{- fail (printf "webapp.ingress and webapp.httpRoute need the endpoint of root %s, which has the host" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.webapp.httpRoute.enabled (not .Values.webapp.httpRoute.parentRefs) -}}
{{- fail "webapp.httpRoute needs parentRefs, which name the Gateways" -}}
{{- end -}}
{{- end }}

{{- /* HITL_ROOTS. */ -}}
{{- define "hitl.operatorRoots" -}}
{{- $roots := list -}}
{{- range include "hitl.roots" . | fromJsonArray -}}
{{- $root := pick . "name" "url" "options" "namespaces" "endpoint" -}}
{{- if eq $.Values.webapp.mode "managed" -}}
{{- $root = set $root "webapp_url" (printf "http://%s-pods.%s.svc:8080" .service $.Release.Namespace) -}}
{{- end -}}
{{- $roots = append $roots $root -}}
{{- end -}}
{{- $roots | toJson -}}
{{- end }}

{{- /* The web apps' manifests: the ConfigMap's data, one key for each root. */ -}}
{{- define "hitl.webappTemplates" -}}
{{- range include "hitl.roots" . | fromJsonArray }}
{{ .name }}.yaml: |
  {{- include "hitl.webapp" (list $ .) | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The operator's Leases: one, or one for each part of the namespaces. */}}
{{- define "hitl.leases" -}}
{{- $name := printf "%s-operator" (include "hitl.fullname" .) }}
{{- $count := int .Values.operator.replicas }}
{{- $names := list $name }}
{{- if gt $count 1 }}
{{- $names = list }}
{{- range until $count }}{{ $names = append $names (printf "%s-%d-of-%d" $name . $count) }}{{ end }}
{{- end }}
{{- $names | toJson }}
{{- end }}
