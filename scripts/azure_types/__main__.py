"""Extracts the types that the Bicep files use, from a clone of Azure/bicep-types-az that is the argument."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
BICEP: Final = ROOT / "infra" / "azure"
WRITTEN: Final = ROOT / "tests" / "infra" / "azure_types.json"
SOURCE: Final = "https://github.com/Azure/bicep-types-az, generated/**/types.json"
LICENCE: Final = "MIT, Copyright (c) Microsoft Corporation"
DEEPEST: Final = 8
"""Levels of nested types; the resources of the Bicep files use six."""

REQUIRED, READ_ONLY = 1, 2
"""Flags of a property; others say where its value is known."""


def used() -> list[str]:
    """Return the resource types of the Bicep files with their API versions."""
    text = "".join(file.read_text() for file in BICEP.glob("*.bicep"))
    return sorted(set(re.findall(r"'(Microsoft\.[\w./]+@[\d-]+)'", text)))


def git(clone: Path, *arguments: str) -> str:
    command = ("git", "-C", clone, *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - reads a clone


def files(clone: Path, resource: str) -> Iterator[str]:
    provider, version = resource.partition("/")[0].lower(), resource.partition("@")[2]
    pattern = re.compile(rf"/{re.escape(provider)}/{version}/types\.json$")
    return (
        name for name in git(clone, "ls-tree", "-r", "--name-only", "HEAD", "generated").split() if pattern.search(name)
    )


def extracted(clone: Path, resource: str) -> dict[str, Any] | None:
    """Return the shape of a resource's body, or None where the clone has no such type."""
    for name in files(clone, resource):
        types: list[dict[str, Any]] = json.loads(git(clone, "show", f"HEAD:{name}"))
        for each in types:
            if each["$type"] == "ResourceType" and each["name"].lower() == resource.lower():
                return shape(types, each["body"], DEEPEST)
    return None


def shape(types: list[dict[str, Any]], reference: Mapping[str, str], depth: int) -> dict[str, Any]:
    """Return a type without references: `properties` (each with `shape`, `required`), `items`, `values` or nothing."""
    found = types[int(reference["$ref"].removeprefix("#/"))]
    if depth == 0:
        return {}
    match found["$type"]:
        case "ObjectType" | "DiscriminatedObjectType":
            return object_shape(types, found, depth - 1)
        case "ArrayType":
            return {"items": shape(types, found["itemType"], depth - 1)}
        case "UnionType":
            named = [types[int(each["$ref"].removeprefix("#/"))] for each in found["elements"]]
            return {"values": sorted(each["value"] for each in named if each["$type"] == "StringLiteralType")}
        case "StringLiteralType":
            return {"values": [found["value"]]}
        case kind:
            return {"type": kind.removesuffix("Type").lower()}


def object_shape(types: list[dict[str, Any]], found: dict[str, Any], depth: int) -> dict[str, Any]:
    own: dict[str, Any] = found.get("baseProperties", found.get("properties", {}))
    made: dict[str, Any] = {"properties": {name: member(types, each, depth) for name, each in own.items()}}
    if "discriminator" in found:
        variants = {value: shape(types, each, depth + 1) for value, each in found["elements"].items()}
        made |= {"discriminator": found["discriminator"], "variants": variants}
    return made | {"open": True} if found.get("additionalProperties") else made


def member(types: list[dict[str, Any]], each: dict[str, Any], depth: int) -> dict[str, Any]:
    if each["flags"] & READ_ONLY:
        return {"read_only": True}
    made = shape(types, each["type"], depth)
    return made | {"required": True} if each["flags"] & REQUIRED else made


def main() -> None:
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and one argument
        sys.exit("usage: python -m scripts.azure_types CLONE, a clone of github.com/Azure/bicep-types-az")
    clone = Path(sys.argv[1])
    shapes = {resource: extracted(clone, resource) for resource in used()}
    head = {
        "source": SOURCE,
        "licence": LICENCE,
        "commit": git(clone, "rev-parse", "HEAD").strip(),
        "date": git(clone, "log", "-1", "--format=%cs").strip(),
        "missing": [name for name, each in shapes.items() if not each],
    }
    types = [f"  {json.dumps(name)}: {json.dumps(each)}" for name, each in shapes.items() if each]
    opening = json.dumps(head, indent=1).removesuffix("\n}")
    WRITTEN.write_text(f'{opening},\n "types": {{\n' + ",\n".join(types) + "\n }\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
