"""Which files make the console, and under which names does a browser keep them?

A file's address contains the version of all files together, so that a browser keeps it for a year and imports between
the modules need no change. The files are read at the first request, not at start.
"""

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

PAGE: Final = "index.html"
VERSION: Final = "{version}"
"""What the page has in place of the version in its links."""

MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class ConsoleFile(Struct, frozen=True):
    """A file as it is sent: its bytes, the same bytes packed by gzip, and its media type."""

    content: bytes
    packed: bytes
    media_type: str


class ConsoleFiles(Struct, frozen=True):
    """The files by their path below the folder, and the version of all of them: 16 hexadecimal digits."""

    version: str
    files: Mapping[str, ConsoleFile]


def read_files(folder: Path) -> ConsoleFiles:
    """Read every file of a known type below a folder. Raises FileNotFoundError where the page is missing."""
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))}
    known = {name: content for name, content in found.items() if Path(name).suffix in MEDIA_TYPES}
    if PAGE not in known:
        raise FileNotFoundError(folder / PAGE)
    version = version_of(known)
    known[PAGE] = known[PAGE].replace(VERSION.encode(), version.encode())
    return ConsoleFiles(version, {name: sent(name, content) for name, content in known.items()})


def version_of(contents: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def sent(name: str, content: bytes) -> ConsoleFile:
    return ConsoleFile(content, gzip.compress(content, mtime=0), MEDIA_TYPES[Path(name).suffix])
