"""Are the console's libraries of others refreshed from the archive of their registry?"""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from scripts.vendored import LIST, main

ENTRY = {"file": "a.js", "package": "a", "version": "2.0", "path": "dist/a.module.js", "sha256": "old"}

INSIDE = {"file": "b.LICENSE.txt", "package": "b", "version": "1.5"}
"""The licence of a package that is part of the file."""


def archive(package: str, folder: Path) -> Path:
    """Return an archive as a registry would give it; its file says which package it is of."""
    where = folder / "a.tgz"
    with tarfile.open(where, "w:gz") as files:
        for name, content in (
            ("package/dist/a.module.js", package.encode()),
            ("package/LICENSE", package.encode() + b": be free"),
        ):
            header = tarfile.TarInfo(name)
            header.size = len(content)
            files.addfile(header, io.BytesIO(content))
    return where


def listing(folder: Path, **changes: str) -> None:
    entry = {**ENTRY, "licences": [{"file": "a.LICENSE.txt"}, INSIDE], **changes}
    (folder / LIST).write_text(json.dumps([entry]), encoding="utf-8")


def test_the_file_its_licence_and_its_hash_are_those_of_the_version_that_the_list_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listing(tmp_path)
    main(tmp_path, archive)
    (entry,) = json.loads((tmp_path / LIST).read_text(encoding="utf-8"))
    assert (tmp_path / "a.js").read_bytes() == b"a@2.0"
    assert (tmp_path / "a.LICENSE.txt").read_text(encoding="utf-8") == "a@2.0: be free"
    assert (tmp_path / "b.LICENSE.txt").read_text(encoding="utf-8") == "b@1.5: be free"
    assert entry["sha256"] == hashlib.sha256(b"a@2.0").hexdigest()
    assert {name: entry[name] for name in ("file", "package", "version", "path")} == {
        name: ENTRY[name] for name in ("file", "package", "version", "path")
    }
    assert entry["sha256"] in capsys.readouterr().out


def test_a_file_that_the_package_does_not_have_ends_the_command_and_changes_nothing(tmp_path: Path) -> None:
    listing(tmp_path, path="dist/b.js")
    with pytest.raises(KeyError, match=r"package/dist/b\.js"):
        main(tmp_path, archive)
    assert [path.name for path in tmp_path.iterdir()] == [LIST]
