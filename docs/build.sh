#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the documentation as a site: build/docs/site/index.html, which needs no network and no server. A warning, a
# link or anchor that leads nowhere, and a public name without a comment are errors.
#
#   sh docs/build.sh [arguments of mkdocs build]
#
# Environment: MLFLOW_TRACE_DOCS_VENV (default build/docs/venv).
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/packages.sh"

need doxygen doxygen
need_venv
install_missing

venv=${MLFLOW_TRACE_DOCS_VENV:-$root/build/docs/venv}
stamp=$venv/.requirements
if ! cmp -s "$root/docs/site/requirements.txt" "$stamp"; then
    echo "Installing MkDocs into $venv" >&2
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    quietly "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$root/docs/site/requirements.txt"
    cp "$root/docs/site/requirements.txt" "$stamp"
fi

# Material says at each start that its successor, Zensical, is there.
export NO_MKDOCS_2_WARNING=1
"$venv/bin/mkdocs" build --strict --config-file "$root/mkdocs.yml" "$@"
"$venv/bin/python" "$root/docs/site/check.py" "$root/build/docs/site"
echo "$root/build/docs/site/index.html"
