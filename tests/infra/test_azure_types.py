"""Does each Bicep resource have the properties of Azure's published types, in the API version that it names?"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from tests.infra.test_azure import FILES, body, parsed

PUBLISHED: dict[str, Any] = json.loads(Path(__file__).with_name("azure_types.json").read_text(encoding="utf-8"))
TYPES: dict[str, dict[str, Any]] = PUBLISHED["types"]
RESOURCES = [
    pytest.param(file, resource, id=f"{file.stem}.{name}")
    for file in FILES
    for name, resource in parsed(file).get("resources", {}).items()
    if not resource.get("existing")
]
UNPUBLISHED = {".properties.functionAppConfig.siteUpdateStrategy: no such property"}
"""Properties that the service documents and takes, and that its types do not list; Bicep warns (BCP037)."""

OF_BICEP = {"parent", "scope", "dependsOn"}
"""Words of the language in a resource's body, not properties."""


@pytest.mark.parametrize(("file", "resource"), RESOURCES)
def test_a_resource_has_the_properties_that_azure_publishes(file: Path, resource: dict[str, Any]) -> None:
    loop_item = [resource["config"]["loop_type"]["detail"]["item_name"]] if "loop_type" in resource["config"] else []
    names = {*loop_item} | {
        name for part in ("parameters", "variables", "resources") for name in parsed(file).get(part, {})
    }
    given = {name: value for name, value in body(resource).items() if name not in OF_BICEP}
    found = [fault for fault in faults(given, TYPES[type_of(resource)], "", names) if fault not in UNPUBLISHED]
    assert found == []


def test_every_type_is_published_and_no_other_is_kept() -> None:
    used = {type_of(resource.values[1]) for resource in RESOURCES}  # pyright: ignore[reportArgumentType] - a resource
    assert PUBLISHED["missing"] == []
    assert used == set(TYPES), "python -m scripts.azure_types CLONE writes azure_types.json"


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"name": "plan", "location": "here", "skew": {}}, ".skew: no such property"),
        ({"name": "plan", "location": "here", "properties": {"status": "Ready"}}, ".properties.status: is read-only"),
        ({"name": "plan"}, ".location: is missing"),
        ({"name": "plan", "location": "here", "properties": {"hostingEnvironmentProfile": {"name": "x"}}}, None),
    ],
)
def test_the_comparison_finds_a_fault(given: dict[str, Any], fault: str | None) -> None:
    found = list(faults(given, TYPES["Microsoft.Web/serverfarms@2025-03-01"], "", set()))
    assert fault is None or found == [fault]


def test_the_comparison_finds_a_value_that_no_type_has() -> None:
    shape = {"properties": {"kind": {"values": ["One", "Two"]}}}
    assert list(faults({"kind": "Three"}, shape, "", set())) == [".kind: 'Three' is none of ['One', 'Two']"]
    assert list(faults({"kind": "chosen"}, shape, "", {"chosen"})) == []


def type_of(resource: dict[str, Any]) -> str:
    return f"{resource['type']}@{resource['api_version']}"


def faults(given: Any, shape: Mapping[str, Any], path: str, names: set[str]) -> Iterator[str]:
    """Yield what is wrong in a parsed value; `names` are what the file declares, whose values are not known."""
    if shape.get("read_only"):
        yield f"{path}: is read-only"
    elif isinstance(given, dict) and not is_expression(cast("dict[str, Any]", given)):
        yield from object_faults(cast("dict[str, Any]", given), shape, path, names)
    elif isinstance(given, list) and "items" in shape:
        for index, each in enumerate(cast("list[Any]", given)):
            yield from faults(each, shape["items"], f"{path}[{index}]", names)
    elif isinstance(given, str) and shape.get("values") and is_literal(given, names):
        known = [value.lower() for value in shape["values"]]
        if given.lower() not in known:
            yield f"{path}: {given!r} is none of {shape['values']}"


def object_faults(given: dict[str, Any], shape: Mapping[str, Any], path: str, names: set[str]) -> Iterator[str]:
    if "properties" not in shape:
        return
    properties = shape["properties"] | of_variant(given, shape)
    for name, value in given.items():
        if name in properties:
            yield from faults(value, properties[name], f"{path}.{name}", names)
        elif not shape.get("open"):
            yield f"{path}.{name}: no such property"
    for name, each in properties.items():
        if each.get("required") and name not in given:
            yield f"{path}.{name}: is missing"


def of_variant(given: dict[str, Any], shape: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that depend on another's value; those of all variants where that value is not known."""
    variants: dict[str, Any] = shape.get("variants", {})
    chosen = given.get(shape.get("discriminator", ""))
    known = [variants[chosen]] if chosen in variants else variants.values()
    return {name: each for variant in known for name, each in variant["properties"].items()}


def is_expression(given: dict[str, Any]) -> bool:
    return bool(given.keys() & {"operator", "function", "loop_type"})


def is_literal(given: str, names: set[str]) -> bool:
    """A parsed string is a text or the name of a value; a template has `${`."""
    return given not in names and "${" not in given
