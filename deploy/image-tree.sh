#!/bin/sh
# What an image gets, below /out: locked dependencies, cgscan, and folders that it may write. Run by the Dockerfile.
#   sh image-tree.sh LOCK FOLDER...
set -eu
lock=$1
shift
python3 -m pip install --no-cache-dir --no-compile --no-deps --only-binary :all: --require-hashes \
    --target /out/opt/cgscan/lib -r "$lock"
mkdir /out/opt/cgscan/app
cp -R scanner /out/opt/cgscan/app/scanner
cp LICENSE /out/opt/cgscan/LICENSE
for folder; do
    mkdir "/out$folder"
    chown 65532:65532 "/out$folder"
done
# Byte code that names the time of its source, and then one time for all: --invalidation-mode, because SOURCE_DATE_EPOCH
# alone makes Python hash every source again at every start.
find /out -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
python3 -m compileall -q -s /out --invalidation-mode timestamp /out/opt/cgscan
chmod -R a+rX,go-w /out/opt
find /out -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
