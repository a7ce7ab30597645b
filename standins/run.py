"""How does one serve everything on this machine until Ctrl-C? `python -m standins.run`.

PORT, DATA, STORE, MODEL and COLD choose. With --without-host the Functions host is left out, for `func start`: the
settings that it needs are printed as NAME=value lines, alone on stdout.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from standins.cloud_run.options import seconds_range_from
from standins.cluster.local_cluster import LocalCluster, PortInUseError
from standins.cluster.process_specs import MODELS, STORES, ClusterOptions, ModelKind, StoreKind
from standins.processes.child_process import StartError

WATCH_S = 0.5
EXAMPLE = """
Ganglion serves {url}/v1 with the {model} model; its data and logs are in {data}

  a token      make {choice}token
  a question   curl -N {url}/v1/responses -H "Authorization: Bearer $(make -s {choice}token)" \\
                 -H 'Content-Type: application/json' -d '{{"model": "auto", "input": "Hello!", "stream": true}}'
  the end      Ctrl-C
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m standins.run", description="serves everything on this machine")
    parser.add_argument("--without-host", action="store_true", help="print the settings for `func start` instead")
    given = parser.parse_args()
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, signal.default_int_handler)
    try:
        with LocalCluster(options_from(os.environ, host=not given.without_host)) as stage:
            print_instructions(stage)
            watch(stage)
    except KeyboardInterrupt:
        report("stopped")
    except (PortInUseError, StartError) as problem:
        sys.exit(f"run: {problem}")


def options_from(environment: Mapping[str, str], *, host: bool) -> ClusterOptions:
    port = environment.get("PORT") or "7071"
    if not port.isdecimal():
        sys.exit(f"run: PORT={port} is no port number")
    data = environment.get("DATA")
    return ClusterOptions(
        port=int(port),
        data=Path(data) if data else None,
        model=model_from(environment),
        store=store_from(environment),
        cold=cold_from(environment),
        host=host,
        report=report,
    )


def model_from(environment: Mapping[str, str]) -> ModelKind:
    model = environment.get("MODEL") or "real"
    if model not in MODELS:
        sys.exit(f"run: MODEL={model} is not known; choose {' or '.join(MODELS)}")
    return model


def store_from(environment: Mapping[str, str]) -> StoreKind:
    store = environment.get("STORE") or "sqlite"
    if store not in STORES:
        sys.exit(f"run: STORE={store} is not known; choose {' or '.join(STORES)}")
    return store


def cold_from(environment: Mapping[str, str]) -> str:
    """Reads COLD; 0 stands for models that are always awake."""
    cold = environment.get("COLD") or "0"
    try:
        span = seconds_range_from(cold)
    except ValueError:
        sys.exit(f"run: COLD={cold} is no number of seconds, as 5, and no range, as 3-9")
    return cold if span.high else ""


def print_instructions(stage: LocalCluster) -> None:
    if not stage.options.host:
        print("\n".join(f"{name}={value}" for name, value in stage.environment().items()), flush=True)
        return
    choice = "" if stage.port == 7071 else f"PORT={stage.port} "  # noqa: PLR2004 - the port that make takes by itself
    print(EXAMPLE.format(url=stage.base_url, model=stage.options.model, data=stage.data, choice=choice), flush=True)


def watch(stage: LocalCluster) -> None:
    """Waits for Ctrl-C; a child that ends by itself is worth a line, the host's end is the end."""
    gone: set[str] = set()
    while True:
        time.sleep(WATCH_S)
        if stage.host and not stage.host.alive:
            raise stage.host.start_error(f"ended with exit code {stage.host.process.returncode}")
        for name, child in (stage.services | stage.models).items():
            if name not in gone and not child.alive:
                gone.add(name)
                report(f"{name} ended; its log is {child.spec.log}")


def report(line: str) -> None:
    print(f"run: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
