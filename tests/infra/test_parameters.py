"""Has each parameter of a deployment bounds and an example, and is each provider of Terraform locked?"""

import re
from pathlib import Path
from typing import Any, cast

import hcl2
import pytest

from settings import ROOT
from tests.checks import every
from tests.infra.test_azure import FOLDER, parsed

BOUNDED = {"int": {"min_value", "max_value"}, "string": {"max_length"}, "array": {"max_length"}}
WITHOUT_BOUNDS = {"bool", "object"}
PARAMETERS: dict[str, Any] = parsed(FOLDER / "main.bicep")["parameters"]
SAMPLE = (FOLDER / "main.sample.bicepparam").read_text(encoding="utf-8")
MODULES = [ROOT / "infra" / cloud for cloud in ("google", "aws")]


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_of_azure_has_bounds_and_an_example(name: str) -> None:
    given = PARAMETERS[name]
    decorators = {each["type"]: each["argument"] for each in given["decorators"] if "argument" in each}
    assert given["type"] in WITHOUT_BOUNDS or "allowed" in decorators or decorators.keys() >= BOUNDED[given["type"]]
    shown = given["default"] not in (None, "", [], {}) or "such as" in decorators["description"]
    assert shown or f"param {name} = " in SAMPLE


def variables(folder: Path) -> dict[str, Any]:
    return {label(name): given for block in read(folder / "variables.tf")["variable"] for name, given in block.items()}


def read(file: Path) -> dict[str, Any]:
    text = file.read_text(encoding="utf-8")
    return cast("dict[str, Any]", hcl2.loads(text))  # pyright: ignore[reportUnknownMemberType] - half typed


def label(name: str) -> str:
    return name.strip('"')


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_a_variable_of_terraform_has_bounds_and_an_example(folder: Path) -> None:
    sample = read(folder / "terraform.sample.tfvars")
    for name, given in variables(folder).items():
        assert label(given["type"]) == "bool" or "validation" in given, name
        assert "default" in given or name in sample, name
        for each in given.get("validation", []):
            assert name in label(each["error_message"]), "the refusal names the variable"


LOCKED = re.compile(
    r'provider "registry\.terraform\.io/(?P<source>[^"]+)" \{\s+version\s+= "(?P<version>[\d.]+)"\s+'
    r'constraints = "(?P<constraints>[^"]+)"\s+hashes = \[(?P<hashes>[^\]]+)\]'
)


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_the_provider_is_locked_for_every_platform_within_its_constraints(folder: Path) -> None:
    (needed,) = read(folder / "main.tf")["terraform"][0]["required_providers"]
    locked = {each["source"]: each for each in LOCKED.finditer((folder / ".terraform.lock.hcl").read_text())}
    declared = {name: each for name, each in needed.items() if not name.startswith("__")}
    assert {label(each["source"]) for each in declared.values()} == set(locked)
    for each in declared.values():
        entry = locked[label(each["source"])]
        lowest, highest = re.findall(r"[\d.]+", label(each["version"]))
        assert numbers(lowest) <= numbers(entry["version"]) < numbers(highest)
        assert numbers(entry["version"]) >= (6,)
        assert entry["constraints"] == f">= {lowest}.0, < {highest}.0"
        hashes = re.findall(r'"((?:h1|zh):[^"]+)"', entry["hashes"])
        assert every(re.fullmatch(r"h1:[\w+/]{43}=|zh:[0-9a-f]{64}", found) for found in hashes)
        assert len([found for found in hashes if found.startswith("zh:")]) >= 12


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
