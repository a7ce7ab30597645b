"""Does each Terraform resource at Google and AWS get arguments that the provider knows, and those that it requires?"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from tests.infra import test_aws, test_google
from tests.infra.test_google import label

CLOUDS = {"google": test_google, "aws": test_aws}
ARGUMENTS: dict[str, dict[str, Any]] = {
    name: known
    for cloud in CLOUDS
    for name, known in json.loads(Path(__file__).with_name(f"{cloud}_arguments.json").read_text(encoding="utf-8"))[
        "arguments"
    ].items()
}
OF_TERRAFORM = {"count", "for_each", "depends_on", "lifecycle", "dynamic", "provider"}


def resources() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each resource and data source: its kind with its type, and what it is given."""
    for document in (
        cloud.parsed(file.name) for cloud in CLOUDS.values() for file in sorted(cloud.FOLDER.glob("*.tf"))
    ):
        checks = [check for block in document.get("check", []) for name, check in block.items() if is_own(name)]
        for kind, blocks in [
            ("resource", document.get("resource", [])),
            ("data", [*document.get("data", []), *(each for check in checks for each in check.get("data", []))]),
        ]:
            for block in blocks:
                for name, named in block.items():
                    if is_own(name):
                        yield f"{kind}.{label(name)}", next(value for key, value in named.items() if is_own(key))


def is_own(name: str) -> bool:
    return not name.startswith("__")


RESOURCES = list(resources())


@pytest.mark.parametrize(("name", "given"), RESOURCES, ids=[name for name, _ in RESOURCES])
def test_a_resource_has_arguments_that_the_provider_knows(name: str, given: dict[str, Any]) -> None:
    assert list(faults(given, ARGUMENTS[name], name)) == []


def test_every_resource_is_compared() -> None:
    assert {name for name, _ in RESOURCES} == set(ARGUMENTS), "python -m scripts.provider_arguments writes them"


def test_the_comparison_finds_a_fault() -> None:
    known: dict[str, Any] = {"name": {"required": True}, "block": {"arguments": {"size": {}}}}
    found = list(faults({"block": [{"sise": 1}]}, known, "x"))
    assert found == ["x.block.sise: no such argument", "x.name: is missing"]


def faults(given: dict[str, Any], known: Mapping[str, Any], path: str) -> Iterator[str]:
    own = {label(name): value for name, value in given.items() if is_own(name) and label(name) not in OF_TERRAFORM}
    for name, value in own.items():
        if name not in known:
            yield f"{path}.{name}: no such argument"
        elif "arguments" in known[name] and isinstance(value, list):
            for block in cast("list[dict[str, Any]]", value):
                yield from faults(block, known[name]["arguments"], f"{path}.{name}")
    dynamic = {label(name) for block in given.get("dynamic", []) for name in block}
    yield from (f"{path}.{name}: is missing" for name in required(known) if name not in own | dict.fromkeys(dynamic))


def required(known: Mapping[str, Any]) -> list[str]:
    return [name for name, each in known.items() if each.get("required")]
