"""Do the Terraform files fit each other, the fleet, and the identity that calls?"""

import os
import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, cast

import hcl2
import pytest

from scripts.deployment.google import L4_REGIONS
from settings import ROOT

FOLDER = ROOT / "infra" / "google"
TEXT = "\n".join(file.read_text() for file in sorted(FOLDER.glob("*.tf")))
BACKEND = tomllib.loads((ROOT / "fleet.toml").read_text())["backends"]["cloud-run-l4"]
TERRAFORM = shutil.which("terraform")
PRICE = tomllib.loads((ROOT / "prices.toml").read_text())["prices"]["cloud-run-l4"]


@cache
def parsed(name: str) -> dict[str, Any]:
    text = (FOLDER / name).read_text()
    return cast("dict[str, Any]", hcl2.loads(text))  # pyright: ignore[reportUnknownMemberType] - half typed


def blocks(kind: str) -> dict[str, Any]:
    """Every block of a kind by its last label."""
    every = (block for file in FOLDER.glob("*.tf") for block in parsed(file.name).get(kind, []))
    return {label(name): given for block in every for name, given in block.items()}


def label(name: str) -> str:
    return name.strip('"')


def test_every_variable_is_declared_and_used() -> None:
    assert set(re.findall(r"\bvar\.(\w+)", TEXT)) == set(blocks("variable"))


def test_the_sample_gives_what_has_no_default() -> None:
    given = {name for name in parsed("terraform.sample.tfvars") if not name.startswith("__")}
    assert {name for name, each in blocks("variable").items() if "default" not in each} == given


def test_the_service_is_the_one_that_the_fleet_knows() -> None:
    defaults = {name: each.get("default") for name, each in blocks("variable").items()}
    limits = BACKEND["limits"]
    assert label(str(defaults["region"])) == BACKEND["region"]
    assert label(str(defaults["served_model"])) == BACKEND["model"]
    assert defaults["context_tokens"] == limits["context_tokens"]
    assert defaults["concurrency"] == limits["concurrency"]
    assert defaults["request_timeout_s"] == limits["request_timeout_s"]


def test_the_service_is_the_one_that_has_a_price() -> None:
    parts = {name: each["count"] for name, each in PRICE["components"].items()}
    assert f'cpu              = "{parts["vcpu"]}"' in TEXT
    assert f'memory           = "{parts["gib"]}Gi"' in TEXT
    assert f'"nvidia.com/gpu" = "{parts["gpu-l4"]}"' in TEXT


def test_the_regions_with_gpus_are_those_that_a_deployment_accepts() -> None:
    condition = blocks("variable")["region"]["validation"][0]["condition"]
    assert re.findall(r'"([a-z0-9-]+)"', str(condition)) == list(L4_REGIONS)


def test_the_image_is_pinned_by_a_digest() -> None:
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", label(str(blocks("variable")["image_digest"]["default"])))


def test_only_the_identity_of_the_app_may_call() -> None:
    assert "assertion.sub == '${var.azure_identity_object_id}'" in TEXT
    assert not re.search(r"allUsers|allAuthenticatedUsers", TEXT)
    assert not re.search(r"google_service_account_key", TEXT)


def test_the_startup_probe_lets_the_fleet_start() -> None:
    (period,), (periods,) = (re.findall(rf"{name}\s*= (\d+)", TEXT) for name in ("probe_period_s ", "probe_periods"))
    probes_s = int(period) * int(periods)
    p99_s = blocks("variable")["start_p99_s"]["default"]
    assert probes_s == 240
    assert p99_s == BACKEND["cold"]["p99_s"]
    assert "max(0, var.start_p99_s - local.probe_period_s * local.probe_periods)" in TEXT
    assert p99_s <= 2 * probes_s


def test_the_image_is_fetched_through_the_registry_of_the_project() -> None:
    assert re.search(r"image\s+= local\.image", TEXT)
    assert "google_artifact_registry_repository.images.repository_id" in TEXT


@pytest.mark.slow
@pytest.mark.skipif(TERRAFORM is None, reason="terraform is not installed")
@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({}, None),
        ({"start_p99_s": "480"}, None),
        ({"start_p99_s": "481"}, "start_p99_s must be at most 480"),
        ({"image_digest": "latest"}, "image_digest must be sha256:"),
        ({"image_digest": ""}, None),
        ({"project": "My Project"}, "project must be the id of a project"),
        ({"name": "Ganglion"}, "name must have 3 to 21 lower-case letters"),
        ({"region": "us-west1"}, "region must have L4 GPUs on Cloud Run"),
        ({"azure_tenant": "contoso"}, "azure_tenant must be a GUID"),
        ({"federation_audience": "ganglion"}, "federation_audience must be like api://"),
        ({"weights_bucket": "gs://weights"}, "weights_bucket must be the name of a bucket"),
        ({"concurrency": "1001"}, "concurrency must be a whole number from 1 to 1000"),
        ({"load_format": "torrent"}, "load_format must be auto, safetensors"),
        ({"monthly_budget": "2.5"}, "monthly_budget must be a whole number"),
        ({"monthly_budget": "100"}, "billing_account must be like"),
        ({"monthly_budget": "100", "billing_account": "012345-ABCDEF-678901"}, None),
        ({"max_instances": "0"}, "max_instances must be at least 1"),
    ],
)
def test_terraform_refuses_a_value_by_name(given: dict[str, str], refusal: str | None, tmp_path: Path) -> None:
    for file in ("variables.tf", "terraform.sample.tfvars"):
        shutil.copy(FOLDER / file, tmp_path)
    values = [f"-var={name}={value}" for name, value in given.items()]
    command = (str(TERRAFORM), "plan", "-input=false", "-no-color", "-var-file=terraform.sample.tfvars", *values)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert (done.returncode == 0) is (refusal is None), done.stderr
    assert refusal is None or refusal in done.stderr


def programs(folder: Path, *, bucket_exists: bool) -> tuple[dict[str, str], Path]:
    """Write hf and gcloud that record how they are called; returns the environment and the record."""
    record = folder / "calls"
    described = "exit 0" if bucket_exists else "exit 1"
    for name in ("hf", "gcloud"):
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {record}\ncase "$*" in *describe*) {described};; esac\n')
        program.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "WEIGHTS_SCRATCH": str(folder / "scratch")}
    return environment, record


@pytest.mark.parametrize("bucket_exists", [True, False])
def test_one_command_fills_the_bucket_of_weights(tmp_path: Path, *, bucket_exists: bool) -> None:
    environment, record = programs(tmp_path, bucket_exists=bucket_exists)
    command = (FOLDER / "weights.sh", "org/model", "weights", "model-awq", "us-central1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603
    assert done.stdout == "weights: gs://weights/model-awq holds org/model\n"
    created = "gcloud storage buckets create gs://weights --location=us-central1"
    calls = record.read_text().splitlines()
    assert bucket_exists is not any(call.startswith(created) for call in calls)
    assert [call for call in calls if call.startswith("hf download org/model")]
    assert calls[-1].endswith("gs://weights/model-awq")


def test_it_says_what_is_missing() -> None:
    command = (FOLDER / "weights.sh", "org/model")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert (done.returncode, done.stderr) == (2, "usage: weights.sh MODEL BUCKET FOLDER REGION\n")
