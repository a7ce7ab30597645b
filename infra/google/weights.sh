#!/usr/bin/env bash
# Fills the bucket of weights: weights.sh MODEL BUCKET FOLDER REGION. A second run copies only what differs.
# MODEL is a repository of Hugging Face; a gated one needs HF_TOKEN. Needs the commands hf and gcloud, signed in.
set -euo pipefail

[ $# = 4 ] || { echo "usage: weights.sh MODEL BUCKET FOLDER REGION" >&2; exit 2; }
model=$1 bucket=$2 folder=$3 region=$4
for program in hf gcloud; do
  command -v "$program" >/dev/null || { echo "weights: $program is not installed" >&2; exit 1; }
done

scratch=${WEIGHTS_SCRATCH:-$(mktemp -d)}
gcloud storage buckets describe "gs://$bucket" >/dev/null 2>&1 ||
  gcloud storage buckets create "gs://$bucket" --location="$region" --uniform-bucket-level-access --public-access-prevention
hf download "$model" --local-dir "$scratch/$folder" --exclude "*.pth" "original/*"
gcloud storage rsync --recursive --exclude='^\.cache/' "$scratch/$folder" "gs://$bucket/$folder"
echo "weights: gs://$bucket/$folder holds $model"
