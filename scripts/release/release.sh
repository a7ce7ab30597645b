#!/usr/bin/env bash
# Releases the package of this commit from a pipeline that is signed in to az. GROUP, APP, APP_URL and API_ID say where.
# The commit of a release is a tag of the app: the package to go back to is built from that commit, with the same bytes.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${GROUP:?}" "${APP:?}" "${APP_URL:?}" "${API_ID:?}"

.venv/bin/python -m ganglion doctor --app "$APP"

app=$(az functionapp show --resource-group "$GROUP" --name "$APP" --query id --output tsv)
before=$(az functionapp show --resource-group "$GROUP" --name "$APP" --query tags.release --output tsv)
previous=()
if [ -n "$before" ] && git cat-file -e "$before^{commit}" 2>/dev/null; then
  rm -rf .run/previous
  git worktree prune
  git worktree add --detach .run/previous "$before"
  make -C .run/previous package AZURE_MONITOR=1 STORAGE=1
  previous=(--previous .run/previous/.run/package/ganglion.zip)
fi

GANGLION_ACCESS_TOKEN=$(az account get-access-token --scope "$API_ID/.default" --query accessToken --output tsv)
export GANGLION_ACCESS_TOKEN
.venv/bin/python -m scripts.release --group "$GROUP" --app "$APP" --url "$APP_URL" "${previous[@]}"
az tag update --resource-id "$app" --operation merge --tags release="$(git rev-parse HEAD)"
