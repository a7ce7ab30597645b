"""Is the archive of a package the same each time?"""

import os
import zipfile
from pathlib import Path

from scripts.package.archive import write_archive


def filled(folder: Path, *, mtime: float, mode: int) -> Path:
    for name in ("b/two.py", "a.py", "b/one.txt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"'{name}'\n", encoding="utf-8")
        path.chmod(mode)
        os.utime(path, (mtime, mtime))
    return folder


def test_times_and_modes_of_this_machine_do_not_change_the_archive(tmp_path: Path) -> None:
    write_archive(filled(tmp_path / "one", mtime=1e9, mode=0o600), tmp_path / "one.zip")
    write_archive(filled(tmp_path / "two", mtime=1.5e9, mode=0o755), tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == ["a.py", "b/one.txt", "b/two.py"]
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}
