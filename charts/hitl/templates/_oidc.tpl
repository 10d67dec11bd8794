{{- /* `auth: oidc`: oauth2-proxy beside each web app. It says who somebody is; the web app says what they may do. */ -}}

{{- /* HITL_AUTH: to our own programs the side-car is a proxy like any other. */ -}}
{{- define "hitl.appAuth" -}}
{{- ternary "proxy" .Values.auth (eq .Values.auth "oidc") -}}
{{- end }}

{{- define "hitl.oidcSession" -}}
{{- .Values.webapp.oidc.session.existingSecret | default (printf "%s-session" (include "hitl.fullname" .)) -}}
{{- end }}

{{- /* Where the web app sends people who sign out. */ -}}
{{- define "hitl.signOutUrl" -}}
/oauth2/sign_out?rd={{ .Values.webapp.oidc.signOutUrl | default "/" | urlquery }}
{{- end }}

{{- /* What flags of oauth2-proxy cannot say. The same for every root. */ -}}
{{- define "hitl.oidcConfig" -}}
{{- $oidc := .Values.webapp.oidc -}}
server:
  bindAddress: 0.0.0.0:4180
upstreamConfig:
  upstreams:
    - id: webapp
      path: /
      uri: http://127.0.0.1:8080
providers:
  - id: oidc
    provider: oidc
    clientID: {{ $oidc.clientId | quote }}
    clientSecretFile: /etc/oauth2-proxy/client/secret
    scope: {{ join " " $oidc.scopes | quote }}
    code_challenge_method: S256
    {{- if $oidc.caConfigMap }}
    caFiles: [/etc/oauth2-proxy/ca/ca.crt]
    useSystemTrustStore: true
    {{- end }}
    oidcConfig:
      issuerURL: {{ $oidc.issuerUrl | quote }}
      insecureSkipNonce: false
      # What it calls an e-mail address is the name here: it reads no other claim for each user.
      emailClaim: {{ $oidc.usernameClaim | quote }}
      groupsClaim: {{ $oidc.groupsClaim | quote }}
# These replace what a client sends under the same names, also when nobody is signed in.
injectRequestHeaders:
  - name: X-HITL-Proxy-Secret
    values:
      - secretSource:
          fromFile: /etc/oauth2-proxy/session/proxy
  - name: X-Forwarded-User
    values:
      - claimSource:
          claim: email
  - name: X-Forwarded-Groups
    values:
      - claimSource:
          claim: groups
{{- end }}

{{- /* The name of the session's cookie. Sessions that were made by other rules end, as nobody looks for their name. */ -}}
{{- define "hitl.oidcCookie" -}}
{{- $top := first . -}}{{- $oidc := $top.Values.webapp.oidc -}}
{{- $rules := list $oidc.issuerUrl $oidc.clientId $oidc.usernameClaim $oidc.groupsClaim $oidc.allowedEmailDomains -}}
{{- ternary "__Host-hitl" "hitl" (hasPrefix "https:" (last .).endpoint) }}-{{ $rules | toJson | sha256sum | trunc 8 -}}
{{- end }}

{{- /* The side-car. Takes (list . root). */ -}}
{{- define "hitl.oidcContainer" -}}
{{- $top := first . -}}{{- $root := last . -}}{{- $oidc := $top.Values.webapp.oidc -}}
- name: oauth2-proxy
  image: {{ $oidc.image.repository }}{{ with $oidc.image.digest }}@{{ . }}{{ else }}:{{ $oidc.image.tag }}{{ end }}
  imagePullPolicy: {{ $oidc.image.pullPolicy }}
  args:
    - --alpha-config=/etc/oauth2-proxy/config/config.yaml
    - {{ printf "--redirect-url=%s/oauth2/callback" $root.endpoint | quote }}
    # The web app decides what needs a user: links with a token, probes and programs get through without one.
    - --skip-auth-route=!=^/oauth2/
    {{- range $oidc.allowedEmailDomains | default (list "*") }}
    - {{ printf "--email-domain=%s" (lower .) | quote }}
    {{- end }}
    {{- with $oidc.signOutUrl }}
    - {{ printf "--whitelist-domain=%s" (urlParse .).host | quote }}
    {{- end }}
    - --cookie-name={{ include "hitl.oidcCookie" . }}
    - --cookie-secret-file=/etc/oauth2-proxy/session/cookie
    - --cookie-secure={{ hasPrefix "https:" $root.endpoint }}
    - --cookie-samesite=lax
    - --cookie-expire={{ $oidc.session.hours }}h
    {{- if $oidc.session.refreshMinutes }}
    - --cookie-refresh={{ $oidc.session.refreshMinutes }}m
    {{- else }}
    - --session-cookie-minimal=true # nobody needs the tokens
    {{- end }}
    # Two pages may sign in at once.
    - --cookie-csrf-per-request=true
    - --cookie-csrf-per-request-limit=8
    # /ready is the web app's.
    - --ping-path=/oauth2/ping
    - --ready-path=/oauth2/ready
    # Its lines would have the tokens of links. The web app logs requests.
    - --request-logging=false
    - --footer=-
  {{- include "hitl.containerSecurity" $top | nindent 2 }}
  ports:
    - name: http
      containerPort: 4180
  lifecycle:
    preStop:
      sleep:
        seconds: 3
  startupProbe:
    httpGet:
      path: /oauth2/ping
      port: http
    periodSeconds: 1
    failureThreshold: 60
  livenessProbe:
    httpGet:
      path: /oauth2/ping
      port: http
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  readinessProbe:
    httpGet:
      path: /oauth2/ready
      port: http
    periodSeconds: 5
    timeoutSeconds: 5
    failureThreshold: 2
  resources:
    {{- toYaml $oidc.resources | nindent 4 }}
  volumeMounts:
    - name: oidc-config
      mountPath: /etc/oauth2-proxy/config
      readOnly: true
    - name: oidc-client
      mountPath: /etc/oauth2-proxy/client
      readOnly: true
    - name: oidc-session
      mountPath: /etc/oauth2-proxy/session
      readOnly: true
    {{- if $oidc.caConfigMap }}
    - name: oidc-ca
      mountPath: /etc/oauth2-proxy/ca
      readOnly: true
    {{- end }}
{{- end }}

{{- define "hitl.oidcVolumes" -}}
{{- $oidc := .Values.webapp.oidc -}}
- name: oidc-config
  configMap:
    name: {{ include "hitl.fullname" . }}-oidc
- name: oidc-client
  secret:
    secretName: {{ $oidc.existingSecret }}
    items:
      - key: {{ $oidc.secretKey }}
        path: secret
- name: oidc-session
  secret:
    secretName: {{ include "hitl.oidcSession" . }}
{{- with $oidc.caConfigMap }}
- name: oidc-ca
  configMap:
    name: {{ . }}
{{- end }}
{{- end }}

{{- /* Refuses values with which nobody, or anybody, could sign in. */ -}}
{{- define "hitl.validateOidc" -}}
{{- $oidc := .Values.webapp.oidc -}}
{{- range $name := list "issuerUrl" "clientId" "existingSecret" -}}
{{- if not (index $oidc $name) -}}
{{- fail (printf "auth=oidc needs webapp.oidc.%s: docs/sign-in.md says how" $name) -}}
{{- end -}}
{{- end -}}
{{- if not (concat $oidc.allowedEmailDomains $oidc.allowedGroups) -}}
{{- fail "auth=oidc needs webapp.oidc.allowedEmailDomains or webapp.oidc.allowedGroups, which say who may sign in: allowedEmailDomains=[\"*\"] stands for every user of the provider" -}}
{{- end -}}
{{- if and (ne $oidc.usernameClaim "email") (without $oidc.allowedEmailDomains "*") -}}
{{- fail (printf "webapp.oidc.allowedEmailDomains needs usernameClaim=email: the claim %s holds no checked address. Set allowedGroups instead" $oidc.usernameClaim) -}}
{{- end -}}
{{- if not (has "openid" $oidc.scopes) -}}
{{- fail "webapp.oidc.scopes needs openid: without it the provider names nobody" -}}
{{- end -}}
{{- if ge (int $oidc.session.refreshMinutes) (mul 60 (int $oidc.session.hours) | int) -}}
{{- fail "webapp.oidc.session.refreshMinutes is less than the session's hours, or 0" -}}
{{- end -}}
{{- range include "hitl.roots" . | fromJsonArray -}}
{{- if not .public -}}
{{- fail (printf "auth=oidc needs the endpoint of root %s: the provider sends people back there" .name) -}}
{{- end -}}
{{- end -}}
{{- end }}
