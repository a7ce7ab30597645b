"""How do the pinned libraries get into the package, for the platform of the app and not for this machine's?"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

FOLDER: Final = Path(".python_packages/lib/site-packages")
"""Where the Functions host looks for a Python app's libraries."""

PLATFORM: Final = "x86_64-manylinux_2_28"
UNUSED: Final = (
    *("bin", "samples", "tests", ".lock"),
    *("botocore/cacert.pem", "botocore/data", "botocore/docs"),
    *(f"google/{name}" for name in ("api", "cloud", "gapic", "logging", "longrunning", "type")),
    *("dateutil/zoneinfo/dateutil-zoneinfo.tar.gz", "pydantic/v1", "werkzeug/debug"),
    *("pyasn1", "pyasn1_modules"),
)
"""What libraries install beside the code that runs: commands, samples, tests, and what the app does not use.

The signatures of AWS need none of botocore's models (docs/decisions/0102), and botocore opens no connection. The rest
is messages of Google's other services, a copy of the system's time zones, pydantic's version 1, a debugger, and the
parsers of ASN.1 that google-auth needs for keys of the library rsa alone.
"""

UNREAD: Final = (
    *("*.pyi", "py.typed", "*.pxd", "*.pxi", "*.pyx", "*.c", "*.h", "*.proto", "*.md", "_testcapi.*.so"),
    *("*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED"),
    "aiohttp/_websocket/*.so",
)
"""Files for type checkers, compilers and installers, which the app does not read; METADATA and licences stay.

aiohttp has its web sockets in Python too, and nobody opens one.
"""

MIRRORS: Final = "set UV_DEFAULT_INDEX to a mirror, HTTPS_PROXY to a proxy, or SSL_CERT_FILE to its certificates"


class PackageError(Exception):
    """The package cannot be built; the message says what to do."""


def install(requirements: Sequence[Path], target: Path) -> None:
    """Install the wheels whose hashes the requirements name. No source is built; raises PackageError."""
    command = (
        *(str(Path(sys.prefix) / "bin" / "uv"), "pip", "install", "--quiet", "--target", str(target)),
        *("--python", sys.executable, "--python-version", version(), "--python-platform", PLATFORM),
        *("--only-binary", ":all:", "--require-hashes", "--no-deps", "--link-mode", "copy", "--no-compile-bytecode"),
        *(word for path in requirements for word in ("--requirement", str(path))),
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the command is ours
    if done.returncode:
        raise PackageError(f"the libraries cannot be installed; {MIRRORS}\n{done.stderr.strip()}")
    for path in (*(target / name for name in UNUSED), *(path for name in UNREAD for path in target.rglob(name))):
        remove(path)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def version() -> str:
    """Return the version of Python that the package is for: that of this interpreter."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def compile_bytecode(folder: Path, *, shown_as: str) -> None:
    """Compile all modules, hash-based and unchecked: the source is not even looked at, whatever its time stamp.

    One process in a fixed order, with fixed hashes, so that the bytes are the same each time.
    """
    command: Sequence[str] = (
        *(sys.executable, "-s", "-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash"),
        *("-s", str(folder), "-p", shown_as, str(folder)),
    )
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - as above
    if done.returncode:
        raise PackageError(f"a module cannot be compiled\n{done.stdout}{done.stderr}")
