"""Which judges of others do we call, in which versions, and how do they come onto this machine?

They live in an environment of their own, .run/judges, for they bring their own versions of what we use.
"""

import fcntl
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
HOME: Final = ROOT / ".run" / "judges"
PYTHON: Final = HOME / "venv" / "bin" / "python"

SDK: Final = "openai-3.54.0"
BUILD: Final = ("hatchling==1.29.0", "hatch-fancy-pypi-readme==25.1.0")
PACKAGES: Final = ("llm-comply==0.5.0", "schemathesis==4.32.5", "pytest-asyncio", "respx", "inline-snapshot")
MORE: Final = ("dirty-equals", "nest_asyncio", "rich", "pytest-xdist", "aiohttp", "httpx-aiohttp", "pytest-timeout")
READY: Final = "ready-1"


def set_up() -> None:
    """Install the judges, once; raises CalledProcessError where a registry does not give them."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (HOME / READY).exists():
            install()
            (HOME / READY).touch()


def install() -> None:
    if not PYTHON.exists():
        called(sys.executable, "-m", "venv", str(HOME / "venv"))
    pip("install", *BUILD)
    wanted = SDK.replace("-", "==")
    pip("download", "--no-deps", "--no-binary", "openai", wanted, "-d", str(HOME), "--no-build-isolation")
    with tarfile.open(HOME / f"{SDK}.tar.gz") as archive:
        archive.extractall(HOME, filter="data")
    pip("install", *PACKAGES, *MORE, str(HOME / SDK))


def pip(*given: str) -> None:
    called(str(PYTHON), "-m", "pip", "-q", "--disable-pip-version-check", *given)


def called(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=600)  # noqa: S603 - commands of ours
