# syntax=docker/dockerfile:1
# cgscan as an image: its locked dependencies, with sigstore for attestations, and itself, on a base that is given.
#
#   docker build --build-arg BUILD=cgr.dev/chainguard/python:latest-dev --build-arg BASE=cgr.dev/chainguard/python:latest -t cgscan .
#   docker run --rm -v cgscan-cache:/cache cgscan scan registry.example/app:1.4 --index https://libraries.example/python/simple
#
# BUILD needs pip and a shell; BASE needs python3 of the same minor version and the same libc, and nothing else: nothing is
# run in it. What the base carries stays: python:…-slim has a pip, Chainguard's image has neither pip nor a shell.
# docs/ci.md: reproducible builds, running it read-only, a mirror in place of PyPI.
ARG BUILD=docker.io/library/python:3.12-slim
ARG BASE=docker.io/library/python:3.12-slim

FROM ${BUILD} AS build
USER root
WORKDIR /src
# An index that serves PyPI's bytes: the lock file's hashes hold whatever it says. Credentials belong into the secret.
ARG PIP_INDEX_URL=https://pypi.org/simple
# Seconds since 1970 of every file, so that the same sources give the same layers.
ARG SOURCE_DATE_EPOCH=1767225600
COPY requirements/image.txt requirements/image.txt
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python3 -m pip install --no-cache-dir --no-compile --no-deps --only-binary :all: --require-hashes \
        --target /out/opt/cgscan/lib -r requirements/image.txt
COPY scanner /out/opt/cgscan/app/scanner
COPY LICENSE /out/opt/cgscan/LICENSE
# Byte code that names the time of its source, and then one time for all: --invalidation-mode, because SOURCE_DATE_EPOCH
# alone makes Python hash every source again at every start.
RUN mkdir /out/cache && chown 65532:65532 /out/cache && \
    find /out -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} + && \
    python3 -m compileall -q -s /out --invalidation-mode timestamp /out/opt/cgscan && \
    chmod -R a+rX,go-w /out/opt && \
    find /out -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

FROM ${BASE}
ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cgscan" \
      org.opencontainers.image.description="Proves which build of every Python distribution a container image runs." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=build /out /
# PYTHONSAFEPATH: a working directory is somebody's checkout, and no module is to be imported from there.
ENV PYTHONPATH=/opt/cgscan/app:/opt/cgscan/lib PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 \
    CGSCAN_CACHE_DIR=/cache HOME=/cache
USER 65532:65532
WORKDIR /tmp
VOLUME /cache
# No HEALTHCHECK: a scan ends, and its exit status is its answer.
ENTRYPOINT ["python3", "-m", "scanner"]
CMD ["--help"]
