"""How does a folder become the same zip file each time?"""

import zipfile
from pathlib import Path
from typing import Final

EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
"""The first time that a zip file can name."""

READABLE: Final = 0o100644 << 16
UNIX: Final = 3
LEVEL: Final = 9


def write_archive(folder: Path, target: Path) -> None:
    """Write all files of a folder in the order of their names, without times, owners and modes of this machine."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), date_time=EARLIEST)
            entry.external_attr, entry.create_system = READABLE, UNIX
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, LEVEL)
