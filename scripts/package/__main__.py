"""How is the deployable package built? `make package`, or `python -m scripts.package`.

The zip file holds the files that .funcignore leaves in, the pinned libraries for Azure's platform and all bytecode.
Beside it is the list of its libraries with their licences.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.package.archive import write_archive
from scripts.package.contents_list import contents_list
from scripts.package.ignore_rules import packaged
from scripts.package.libraries import FOLDER, PackageError, compile_bytecode, install, version

ROOT: Final = Path(__file__).resolve().parents[2]
NAME: Final = "ganglion"
RELEASE: Final = "release.txt"
"""What `GET /readyz` of a deployed app shows."""

MOUNTED: Final = "/home/site/wwwroot"
"""Where Azure mounts the package: tracebacks name files under it."""

LARGEST_MB: Final = 30
"""Without optional libraries."""

REQUIREMENTS: Final = "requirements.txt"
WITH_AZURE_MONITOR: Final = "requirements-azure-monitor.txt"
TOKENIZERS: Final = "requirements-tokenizers.txt"
MCP: Final = "requirements-mcp.txt"
STORAGE: Final = "requirements-storage.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    archive: Path
    contents: Path
    release: str

    @property
    def megabytes(self) -> float:
        return self.archive.stat().st_size / 1e6

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.archive.read_bytes()).hexdigest()


def build(root: Path, output: Path, requirements: Sequence[str] = (REQUIREMENTS,)) -> Package:
    """Build the package of a project in a folder, with the libraries of some of its files; raises PackageError."""
    output.mkdir(parents=True, exist_ok=True)
    release = release_of(root, requirements)
    package = Package(archive=output / f"{NAME}.zip", contents=output / f"{NAME}.cdx.json", release=release)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "wwwroot"
        copy_files(root, folder)
        (folder / RELEASE).write_text(f"{release}\n", encoding="utf-8")
        install([root / name for name in requirements], folder / FOLDER)
        compile_bytecode(folder, shown_as=MOUNTED)
        number = f"{project_version(root)}+{release}"
        listed = contents_list(folder / FOLDER, name=NAME, version=number, python=version())
        package.contents.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
        write_archive(folder, package.archive)
    return package


def release_of(root: Path, requirements: Sequence[str]) -> str:
    """Return twelve hexadecimal digits that tell packages of different files or libraries apart."""
    digest = hashlib.sha256()
    for path in sorted({*packaged(root), *map(Path, requirements)}):
        content = (root / path).read_bytes()
        digest.update(f"{path.as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def project_version(root: Path) -> str:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return project["tool"]["ganglion"]["version"]


def copy_files(root: Path, folder: Path) -> None:
    for path in packaged(root):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, folder / path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.package", description="build the deployable package")
    parser.add_argument("--output", type=Path, default=ROOT / ".run" / "package", help="the folder for the package")
    parser.add_argument("--azure-monitor", action="store_true", help="include the exporter for Application Insights")
    parser.add_argument("--tokenizers", action="store_true", help="include the library that reads tokenizer.json")
    parser.add_argument("--mcp", action="store_true", help="include the library that speaks to MCP servers")
    parser.add_argument("--storage", action="store_true", help="include the libraries of Azure Storage")
    options = parser.parse_args()
    libraries = WITH_AZURE_MONITOR if options.azure_monitor else REQUIREMENTS
    optional = ((TOKENIZERS, options.tokenizers), (MCP, options.mcp), (STORAGE, options.storage))
    requirements = (libraries, *(name for name, is_wanted in optional if is_wanted))
    try:
        package = build(ROOT, options.output, requirements)
    except PackageError as problem:
        sys.exit(f"package: {problem}")
    if requirements == (REQUIREMENTS,) and package.megabytes > LARGEST_MB:
        sys.exit(f"package: {package.archive} has {package.megabytes:.1f} MB; at most {LARGEST_MB} are allowed")
    print(f"{package.archive}: {package.megabytes:.1f} MB, Python {version()}, sha256 {package.digest}")
    print(f"release {package.release}, which GET /readyz shows")
    print(f"{package.contents}: its libraries and their licences")


if __name__ == "__main__":
    main()
