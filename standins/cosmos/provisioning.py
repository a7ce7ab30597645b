"""How is the local Cosmos DB prepared as the store of a local cluster?

The application signs in with a token of its managed identity, like on Azure. The containers are created with the
account's key, because the managed identity may only work on data.
"""

import os
import subprocess
import sys
from pathlib import Path

from standins.cosmos.account import account_in
from standins.cosmos.node import find_node, installed_packages
from standins.paths import ROOT
from standins.processes.child_process import StartError, python_command
from standins.processes.http_server import HOST

COSMOS = "cosmos"
SET_UP_S = 60


def prepare() -> None:
    """Installs the packages of the server once; raises StartError when that fails."""
    installed_packages(find_node())


def command(data: Path) -> list[str]:
    return python_command("standins.cosmos", "--port", 0, "--data", data, "--keys", data / "identity" / "jwks.json")


def settings(data: Path, port: int) -> dict[str, str]:
    """Gives the settings with which the application finds its store."""
    return {
        "GANGLION_STORE": COSMOS,
        "GANGLION_COSMOS_URL": f"https://{HOST}:{port}",
        "GANGLION_COSMOS_CA": str(account_in(data).authority),
    }


def create_containers(data: Path, port: int) -> None:
    """Runs the product's set-up command, which is safe to repeat."""
    key = {"GANGLION_COSMOS_KEY": account_in(data).key}
    done = subprocess.run(
        [sys.executable, "-m", "clients.storage.cosmos.setup"],
        env={**os.environ, **settings(data, port), **key},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SET_UP_S,
        check=False,
    )
    if done.returncode:
        raise StartError(f"the containers of the store could not be created: {done.stderr.strip()}")
