"""Do the Terraform files for AWS fit each other, and do they grant what a missing grant names?"""

import re
from typing import Any, cast

import hcl2

from settings import ROOT

FOLDER = ROOT / "infra" / "aws"
TEXT = "\n".join(file.read_text() for file in sorted(FOLDER.glob("*.tf")))
SYSTEMS = (ROOT / "systems.toml").read_text()


def parsed(name: str) -> dict[str, Any]:
    text = (FOLDER / name).read_text()
    return cast("dict[str, Any]", hcl2.loads(text))  # pyright: ignore[reportUnknownMemberType] - half typed


def variables() -> dict[str, Any]:
    return {name.strip('"'): given for block in parsed("variables.tf")["variable"] for name, given in block.items()}


def test_every_variable_is_declared_and_used() -> None:
    assert set(re.findall(r"\bvar\.(\w+)", TEXT)) == set(variables())


def test_the_sample_gives_what_has_no_default() -> None:
    given = {name for name in parsed("terraform.sample.tfvars") if not name.startswith("__")}
    assert {name for name, each in variables().items() if "default" not in each} == given


def test_only_the_identity_of_the_app_may_assume_the_role() -> None:
    assert TEXT.count('test     = "StringEquals"') == 2
    assert re.search(r":sub\"\s+values\s+= \[var\.azure_identity_object_id\]", TEXT)
    assert re.search(r":aud\"\s+values\s+= \[var\.federation_audience\]", TEXT)
    assert "aws_iam_access_key" not in TEXT


def test_it_grants_every_action_that_a_missing_grant_names() -> None:
    named = set(re.findall(r"\b(?:bedrock|sagemaker|lambda):\w+", SYSTEMS))
    assert named
    assert named <= set(re.findall(r'"((?:bedrock|sagemaker|lambda):\w+)"', TEXT))
