# syntax=docker/dockerfile:1
# cgscan as an image: its locked dependencies, with sigstore for attestations, and itself, on a base that is given.
#
#   docker build --build-arg BUILD=cgr.dev/chainguard/python:latest-dev --build-arg BASE=cgr.dev/chainguard/python:latest -t cgscan .
#   docker run --rm -v cgscan-cache:/cache cgscan scan registry.example/app:1.4 --index https://libraries.example/python/simple
#
#   docker build --target service … -t cgscan-service .       # with what 'cgscan serve' and 'cgscan worker' need; deploy/ runs it
#
# BUILD needs pip and a shell; BASE needs python3 of the same minor version and the same libc, and nothing else: nothing is
# run in it. What the base carries stays: python:…-slim has a pip, Chainguard's image has neither pip nor a shell.
# docs/ci.md: reproducible builds, running it read-only, a mirror in place of PyPI.
ARG BUILD=docker.io/library/python:3.12-slim
ARG BASE=docker.io/library/python:3.12-slim
# An index that serves PyPI's bytes: the lock file's hashes hold whatever it says. Credentials belong into the secret.
ARG PIP_INDEX_URL=https://pypi.org/simple
# Seconds since 1970 of every file, so that the same sources give the same layers.
ARG SOURCE_DATE_EPOCH=1767225600

FROM ${BUILD} AS tools
USER root
WORKDIR /src
COPY requirements requirements
COPY deploy/image-tree.sh image-tree.sh
COPY scanner scanner
COPY LICENSE LICENSE

FROM tools AS service-tree
ARG PIP_INDEX_URL SOURCE_DATE_EPOCH
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf sh image-tree.sh requirements/service.txt /cache /data

FROM tools AS scan-tree
ARG PIP_INDEX_URL SOURCE_DATE_EPOCH
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf sh image-tree.sh requirements/image.txt /cache

FROM ${BASE} AS plain
ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cgscan" \
      org.opencontainers.image.description="Proves which build of every Python distribution a container image runs." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
# PYTHONSAFEPATH: a working directory is somebody's checkout, and no module is to be imported from there.
ENV PYTHONPATH=/opt/cgscan/app:/opt/cgscan/lib PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 \
    CGSCAN_CACHE_DIR=/cache HOME=/cache
USER 65532:65532
WORKDIR /tmp
VOLUME /cache
ENTRYPOINT ["python3", "-m", "scanner"]

FROM plain AS service
COPY --from=service-tree /out /
ENV XDG_DATA_HOME=/data
VOLUME /data
EXPOSE 8087
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python3", "-m", "scanner", "serve", "--check", "--config", "/etc/cgscan/cgscan.yaml"]
CMD ["serve", "--config", "/etc/cgscan/cgscan.yaml"]

FROM plain
COPY --from=scan-tree /out /
# No HEALTHCHECK: a scan ends, and its exit status is its answer.
CMD ["--help"]
