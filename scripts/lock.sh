#!/usr/bin/env bash
# Compiles the pinned requirements from their .in files: hashes, no addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { .venv/bin/uv pip compile --quiet --upgrade --generate-hashes --no-header --no-emit-index-url --python .venv/bin/python "$@"; }
compile requirements.in -o requirements.txt
compile requirements-dev.in -o requirements-dev.txt
compile --no-deps requirements-model.in -o requirements-model.txt
