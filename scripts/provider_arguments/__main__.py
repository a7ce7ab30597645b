"""Extracts the arguments that infra/google or infra/aws may give, from the unpacked npm package of their provider."""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
CLOUDS: Final = ("google", "aws")
LICENCE: Final = "MPL-2.0, Copyright (c) HashiCorp, Inc."
RESOURCE: Final = r'^\s*(resource|data) "{cloud}_(\w+)"'
INTERFACE: Final = re.compile(r"export interface (\w+)[^{]*\{(.*?)\n\}", re.DOTALL)
MEMBER: Final = re.compile(r"readonly (\w+)(\??): ([^;]+);")

type Interfaces = Mapping[str, list[tuple[str, str, str]]]


def used(cloud: str) -> list[tuple[str, str]]:
    """Return the kind and the type of each resource and data source, without the provider's prefix."""
    text = "".join(file.read_text() for file in (ROOT / "infra" / cloud).glob("*.tf"))
    return sorted(set(re.findall(RESOURCE.format(cloud=cloud), text, re.MULTILINE)))


def arguments(interfaces: Interfaces, name: str) -> dict[str, Any]:
    """Return each argument: whether it is `required`, and the `arguments` of a block."""
    return {snake_case(each): argument(interfaces, optional, kind) for each, optional, kind in interfaces[name]}


def argument(interfaces: Interfaces, optional: str, kind: str) -> dict[str, Any]:
    made: dict[str, Any] = {} if optional else {"required": True}
    block = next((name for name in re.findall(r"\w+", kind) if name in interfaces), None)
    return made | {"arguments": arguments(interfaces, block)} if block else made


def snake_case(name: str) -> str:
    return re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), name)


def extracted(package: Path, cloud: str, kind: str, name: str) -> dict[str, Any]:
    folder = (f"data-{cloud}-" if kind == "data" else "") + name.replace("_", "-")
    text = (package / "lib" / folder / "index.d.ts").read_text(encoding="utf-8")
    interfaces = {found[1]: MEMBER.findall(found[2]) for found in INTERFACE.finditer(text)}
    return arguments(
        interfaces, next(each for each in interfaces if each.endswith("Config") and "Terraform" not in each)
    )


def main() -> None:
    if len(sys.argv) != 3 or sys.argv[1] not in CLOUDS:  # noqa: PLR2004 - the program and two arguments
        sys.exit(
            "usage: python -m scripts.provider_arguments CLOUD FOLDER: the unpacked npm package @cdktf/provider-CLOUD"
        )
    cloud, package = sys.argv[1], Path(sys.argv[2])
    about = package / "package.json"
    version = json.loads(about.read_text())["version"] if about.exists() else ""
    document = {
        "source": f"https://www.npmjs.com/package/@cdktf/provider-{cloud} {version}".strip(),
        "licence": LICENCE,
        "arguments": {f"{kind}.{cloud}_{name}": extracted(package, cloud, kind, name) for kind, name in used(cloud)},
    }
    written = ROOT / "tests" / "infra" / f"{cloud}_arguments.json"
    written.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
