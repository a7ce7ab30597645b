#!/usr/bin/env bash
# Prints the folder with the programs prometheus and promtool; unpacks Debian's package where they are not installed.
set -euo pipefail

fail() { echo "prometheus: $*" >&2; exit 1; }

if installed=$(command -v prometheus) && command -v promtool >/dev/null; then dirname "$installed"; exit 0; fi
command -v apt-get >/dev/null || fail "not installed, and there is no apt-get to fetch it with"
folder=$PWD/.run/kits/prometheus
mkdir -p "$folder"
exec 9>"$folder.lock"
flock 9
if ! [ -x "$folder/usr/bin/promtool" ]; then
  if [ "$(id -u)" = 0 ]; then apt-get -qq -o DPkg::Lock::Timeout=300 update >/dev/null 2>&1 || true; fi
  said=$(cd "$folder" && apt-get -qq -o APT::Sandbox::User=root download prometheus 2>&1) ||
    fail "apt-get could not fetch the package: $(tail -n 1 <<<"$said")"
  dpkg-deb -x "$folder"/prometheus_*.deb "$folder"
  rm "$folder"/prometheus_*.deb
fi
echo "$folder/usr/bin"
