# syntax=docker/dockerfile:1
# cgscan as an image. BUILD needs pip and a shell, BASE only the same minor version of Python:
#   docker build --build-arg BUILD=cgr.dev/chainguard/python:latest-dev --build-arg BASE=cgr.dev/chainguard/python:latest .
#   docker run --rm -v cgscan-cache:/cache cgscan scan registry.example/app:1.4 --index https://libraries.example/python/simple
ARG BUILD=docker.io/library/python:3.12-slim
ARG BASE=docker.io/library/python:3.12-slim

FROM ${BUILD} AS build
USER root
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN python -m pip install --no-cache-dir --require-hashes --target /out/lib -r requirements/run.txt
COPY scanner scanner
RUN cp -r scanner /out/lib/scanner && python -m compileall -q /out/lib && mkdir /out/cache

FROM ${BASE}
COPY --from=build /out/lib /opt/cgscan
COPY --from=build --chown=65532:65532 /out/cache /cache
ENV PYTHONPATH=/opt/cgscan CGSCAN_CACHE_DIR=/cache PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /tmp
VOLUME /cache
ENTRYPOINT ["python", "-m", "scanner"]
CMD ["--help"]
