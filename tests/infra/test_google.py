"""Do the Terraform files fit each other, the fleet, and the identity that calls?"""

import re
import tomllib
from functools import cache
from typing import Any, cast

import hcl2

from settings import ROOT

FOLDER = ROOT / "infra" / "google"
TEXT = "\n".join(file.read_text() for file in sorted(FOLDER.glob("*.tf")))
BACKEND = tomllib.loads((ROOT / "fleet.toml").read_text())["backends"]["cloud-run-l4"]
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


def test_only_the_identity_of_the_app_may_call() -> None:
    assert "assertion.sub == '${var.azure_identity_object_id}'" in TEXT
    assert not re.search(r"allUsers|allAuthenticatedUsers", TEXT)
    assert not re.search(r"google_service_account_key", TEXT)


def test_it_starts_within_the_time_that_a_probe_may_take() -> None:
    period, failures = (
        int(re.findall(rf"{name}\s*= (\d+)", TEXT)[0]) for name in ("period_seconds", "failure_threshold")
    )
    assert period * failures <= 240
