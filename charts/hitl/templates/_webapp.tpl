{{- /* The manifests of one root's web app, which the operator applies. Takes (list . root). */ -}}
{{- define "hitl.webapp" -}}
{{- $top := first . -}}{{- $root := last . -}}
{{- $webapp := $top.Values.webapp -}}
{{- $host := (urlParse $root.endpoint).hostname | lower -}}
{{- $full := include "hitl.fullname" $top -}}
{{- $oidc := eq $top.Values.auth "oidc" -}}
{{- $proxied := or $oidc (eq $top.Values.auth "proxy") -}}
{{- $port := ternary "webapp" "http" $oidc -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $root.service }}
  labels:
    {{- include "hitl.webappLabels" (list $top $root) | nindent 4 }}
spec:
  replicas: {{ $webapp.replicas | int64 }}
  # While one pod replaces another, the page stays available.
  strategy:
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  selector:
    matchLabels:
      {{- include "hitl.webappSelector" (list $top $root) | nindent 6 }}
  template:
    metadata:
      labels:
        {{- with $webapp.labels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- include "hitl.webappLabels" (list $top $root) | nindent 8 }}
      annotations:
        {{- with $webapp.annotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        hitl.flyte.org/settings: {{ printf "%s%s" $root.url ($root.options | toJson) | sha256sum }}
        {{- if $oidc }}
        hitl.flyte.org/sign-in: {{ include "hitl.oidcConfig" $top | sha256sum }}
        {{- end }}
    spec:
      serviceAccountName: {{ $full }}-webapp
      automountServiceAccountToken: {{ eq $top.Values.auth "kubernetes" }}
      {{- include "hitl.podSecurity" $top | nindent 6 }}
      {{- with include "hitl.placement" $webapp }}
      {{- . | trim | nindent 6 }}
      {{- end }}
      {{- if gt (int64 $webapp.replicas) 1 }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "hitl.webappSelector" (list $top $root) | nindent 14 }}
      {{- end }}
      terminationGracePeriodSeconds: 30
      containers:
        - name: webapp
          image: {{ include "hitl.image" $top }}
          imagePullPolicy: {{ $top.Values.image.pullPolicy }}
          args: [python, -m, hitl_webapp]
          {{- include "hitl.containerSecurity" $top | nindent 10 }}
          envFrom:
            - secretRef:
                name: {{ $full }}-root-{{ $root.name }}
            {{- with $root.existingSecret }}
            - secretRef:
                name: {{ . }}
            {{- end }}
          env:
            - name: HITL_HOST
              value: 0.0.0.0
            - name: HITL_AUTH
              value: {{ include "hitl.appAuth" $top }}
            - name: HITL_MARKERS
              value: "true"
            - name: HITL_HINT_URL
              value: http://{{ $full }}-operator.{{ $top.Release.Namespace }}.svc:8080
            # Pages of other origins must not post, and its path stands before the addresses in pages.
            - name: HITL_ENDPOINT
              value: {{ $root.public | quote }}
            {{- if $proxied }}
            - name: HITL_PROXY_SECRET_FILE
              value: /etc/hitl/proxy/secret
            {{- end }}
            {{- if $oidc }}
            # Longer than oauth2-proxy keeps a connection, so that none ends under a request.
            - name: HITL_IDLE_SECONDS
              value: "120"
            - name: HITL_PROXY_ALLOWED_GROUPS
              value: {{ $webapp.oidc.allowedGroups | toJson | quote }}
            - name: HITL_SIGN_IN_URL
              value: /oauth2/start?rd={page}
            - name: HITL_SIGN_OUT_URL
              value: {{ include "hitl.signOutUrl" $top | quote }}
            {{- else if $proxied }}
            - name: HITL_PROXY_USER_HEADER
              value: {{ $webapp.proxy.userHeader | quote }}
            - name: HITL_PROXY_GROUPS_HEADER
              value: {{ $webapp.proxy.groupsHeader | quote }}
            {{- end }}
            {{- with $webapp.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - name: {{ $port }}
              containerPort: 8080
          # Old connections end before the pod does.
          lifecycle:
            preStop:
              sleep:
                seconds: 3
          # Checked often until it is ready, and seldom afterwards.
          startupProbe:
            httpGet:
              path: /health
              port: {{ $port }}
            periodSeconds: 1
            failureThreshold: 60
          livenessProbe:
            httpGet:
              path: /health
              port: {{ $port }}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet:
              path: /ready
              port: {{ $port }}
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 2
          resources:
            {{- toYaml $webapp.resources | nindent 12 }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
            {{- if $proxied }}
            - name: proxy
              mountPath: /etc/hitl/proxy
              readOnly: true
            {{- end }}
        {{- if $oidc }}
        {{- include "hitl.oidcContainer" (list $top $root) | nindent 8 }}
        {{- end }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- if $proxied }}
        - name: proxy
          secret:
            secretName: {{ ternary (include "hitl.oidcSession" $top) $webapp.proxy.existingSecret $oidc }}
            items:
              - key: {{ ternary "proxy" $webapp.proxy.secretKey $oidc }}
                path: secret
        {{- end }}
        {{- if $oidc }}
        {{- include "hitl.oidcVolumes" $top | nindent 8 }}
        {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $root.service }}
  labels:
    {{- include "hitl.webappLabels" (list $top $root) | nindent 4 }}
spec:
  selector:
    {{- include "hitl.webappSelector" (list $top $root) | nindent 4 }}
  ports:
    - name: http
      port: 80
      targetPort: http
---
# Its name has the address of each pod: the operator tells all of them of new questions and outcomes.
apiVersion: v1
kind: Service
metadata:
  name: {{ $root.service }}-pods
  labels:
    {{- include "hitl.webappLabels" (list $top $root) | nindent 4 }}
spec:
  clusterIP: None
  selector:
    {{- include "hitl.webappSelector" (list $top $root) | nindent 4 }}
  ports:
    - name: webapp
      port: 8080
      targetPort: 8080
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $root.service }}
  labels:
    {{- include "hitl.webappLabels" (list $top $root) | nindent 4 }}
spec:
  # One at a time; a node can be drained even when there is only one.
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "hitl.webappSelector" (list $top $root) | nindent 6 }}
{{- with $webapp.ingress }}
{{- if .enabled }}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ $root.service }}
  labels:
    {{- include "hitl.webappLabels" (list $top $root) | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- if hasPrefix "https:" $root.endpoint }}
  tls:
    - hosts: [{{ $host }}]
      {{- with .tlsSecret }}
      secretName: {{ . }}
      {{- end }}
  {{- end }}
  rules:
    - host: {{ $host }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ $root.service }}
                port:
                  name: http
{{- end }}
{{- end }}
{{- with $webapp.httpRoute }}
{{- if .enabled }}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: {{ $root.service }}
  labels:
    {{- include "hitl.webappLabels" (list $top $root) | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  parentRefs:
    {{- toYaml .parentRefs | nindent 4 }}
  hostnames: [{{ $host }}]
  rules:
    - matches:
        - path:
            type: PathPrefix
            value: /
      backendRefs:
        - name: {{ $root.service }}
          port: 80
{{- end }}
{{- end }}
{{- end }}

{{- define "hitl.webappSelector" -}}
{{ include "hitl.selector" (list (first .) "webapp") }}
hitl.flyte.org/root: {{ (last .).name }}
{{- end }}

{{- define "hitl.webappLabels" -}}
{{ include "hitl.componentLabels" (list (first .) "webapp") }}
hitl.flyte.org/root: {{ (last .).name }}
{{- end }}
