"""Are the libraries compiled the same each time, and does an error say what to do?"""

import os
from pathlib import Path

import pytest

from scripts.package.libraries import PackageError, compile_bytecode, install

UNCHECKED = b"\x01\x00\x00\x00"
"""The flags of bytecode that is never compared with its source (PEP 552)."""


def filled(folder: Path, *, mtime: float, mode: int) -> Path:
    for name in ("b/two.py", "a.py", "b/one.txt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"'{name}'\n", encoding="utf-8")
        path.chmod(mode)
        os.utime(path, (mtime, mtime))
    return folder


def test_bytecode_is_the_same_wherever_it_is_compiled_and_never_compared_with_its_source(tmp_path: Path) -> None:
    compiled: list[bytes] = []
    for name in ("one", "two"):
        folder = filled(tmp_path / name, mtime=1e9, mode=0o600)
        compile_bytecode(folder, shown_as="/home/site/wwwroot")
        (found,) = (folder / "b" / "__pycache__").iterdir()
        compiled.append(found.read_bytes())
    assert compiled[0] == compiled[1]
    assert compiled[0][4:8] == UNCHECKED
    assert b"/home/site/wwwroot/b/two.py" in compiled[0]


def test_a_module_that_does_not_compile_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("def", encoding="utf-8")
    with pytest.raises(PackageError, match=r"wrong\.py"):
        compile_bytecode(tmp_path, shown_as="/app")


def test_an_unreachable_registry_names_the_settings_of_mirror_and_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"DEFAULT_INDEX": "http://127.0.0.1:1/simple", "CACHE_DIR": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(f"UV_{name}", value)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(PackageError, match=r"UV_DEFAULT_INDEX.*HTTPS_PROXY"):
        install([requirements], tmp_path / "libraries")
