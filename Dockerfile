# One image with three entry points: hitl-operator (the default), python -m hitl_webapp, and hitl.
# Build: docker build -t localhost/hitl:0.2.0 .
ARG BASE=docker.io/library/python:3.13-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_CONSTRAINT=/src/constraints.txt
WORKDIR /src
COPY constraints.txt ./
# Tools stay here: neither pip nor what writes the list of parts is in the image.
RUN python3 -m venv /opt/tools && /opt/tools/bin/pip install --quiet "pip>=25.1" hatchling cyclonedx-bom
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY crds crds
COPY hitl hitl
COPY operator operator
COPY webapp webapp
RUN /opt/tools/bin/pip wheel --quiet --wheel-dir /wheels '.[cli,kubernetes,notify,operator,webapp]'
RUN python3 -m venv --without-pip /opt/hitl \
 && /opt/tools/bin/pip --python /opt/hitl/bin/python install --quiet --no-index --find-links /wheels --no-compile \
    'flyte-hitl[cli,kubernetes,notify,operator,webapp]' \
 # Bytecode for all but the Kubernetes client's thousand models, of which next to none is ever loaded.
 && /opt/hitl/bin/python -m compileall -q -x 'kubernetes/(aio/)?client/(api|models)/[^_]' /opt/hitl/lib \
 && /opt/hitl/bin/python -c 'from hitl_webapp.pages import keep_compiled; keep_compiled()' \
 && /opt/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
    --output-reproducible --output-file /opt/hitl/sbom.cdx.json /opt/hitl/bin/python

FROM ${BASE}
LABEL org.opencontainers.image.title="hitl" \
      org.opencontainers.image.description="People answer the questions that automation asks" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/hitl /opt/hitl
# The root file system may be read-only: nothing is written at run time, not even bytecode. The user has no entry
# in /etc/passwd, and any other one may be set.
ENV PATH=/opt/hitl/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp USER=hitl
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080
CMD ["hitl-operator"]
