#!/usr/bin/env bash
# Installs the locked dependencies of cgscan, which lies in $CHECKOUT, into an environment of its own, and says where.
set -euo pipefail

"$PYTHON" -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "cgscan needs Python 3.11 or later: set the input python")'
place="$RUNNER_TEMP/cgscan-venv"
if [ ! -x "$place/bin/python" ]; then
    "$PYTHON" -m venv "$place"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        --requirement "$CHECKOUT/requirements/image.txt"
fi
echo "python=$place/bin/python" >>"$GITHUB_OUTPUT"
