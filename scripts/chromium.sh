#!/usr/bin/env bash
# Prints where Chromium is; installs Debian's package first where it is missing and we may. Fails with one line that says why.
set -euo pipefail

find_chromium() { command -v "${CHROMIUM:-chromium}" || command -v chromium-browser || command -v google-chrome; }
fail() { echo "chromium: $*" >&2; exit 1; }

if find_chromium; then exit 0; fi
command -v apt-get >/dev/null || fail "not installed, and there is no apt-get to install it with"
[ "$(id -u)" = 0 ] || fail "not installed; as root: apt-get install chromium"
mkdir -p .run
exec 9>.run/chromium.lock
flock 9
if ! find_chromium >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt() { apt-get -qq -o DPkg::Lock::Timeout=300 "$@" 2>&1; }
  said=$(apt update && apt install -y --no-install-recommends chromium) ||
    fail "apt-get could not install it: $(tail -n 1 <<<"$said")"
fi
find_chromium || fail "installed, and still not found"
