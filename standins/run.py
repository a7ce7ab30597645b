"""How does everything run on this machine until Ctrl-C? `python -m standins.run`.

The environment variables PORT, DATA, STORE, MODEL and COLD configure it. With --without-host the Functions host is left
out, for `func start`: local.settings.json then holds the settings that the host needs, until this ends.
"""

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from standins.cloud_run.options import seconds_range_from
from standins.cluster.local_cluster import LocalCluster, UnusableOptionError
from standins.cluster.local_settings import SettingsFileError, written_settings
from standins.cluster.process_specs import MODELS, STORES, ClusterOptions, ModelKind, StoreKind
from standins.paths import ROOT
from standins.processes.child_process import StartError
from standins.processes.ports import HIGHEST_PORT

SETTINGS_FILE = ROOT / "local.settings.json"
WATCH_S = 0.5
EXAMPLE = """
Ganglion serves {url}/v1 with the {model} model. Its data and logs are in {data}

  get a token  make {choice}token
  ask          curl -N {url}/v1/responses -H "Authorization: Bearer $(make -s {choice}token)" \\
                 -H 'Content-Type: application/json' -d '{{"model": "auto", "input": "Hello!", "stream": true}}'
  console      {console}
  stop         Ctrl-C
"""

VARIABLES = (
    "Environment variables: PORT (7071), DATA (.run/PORT), MODEL (real or scripted), STORE (sqlite or cosmos), COLD"
    " (seconds that a GPU needs to start; 0: models that are always warm) and GANGLION_TELEMETRY."
)

PARTS_EXAMPLE = """
The models and the token issuer run. Their settings are in {file}, until this ends.

  start the host  func start       (in {folder})
  get a token     make {choice}token
  stop            Ctrl-C
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m standins.run", description="run the whole product on this machine", epilog=VARIABLES
    )
    parser.add_argument("--without-host", action="store_true", help="write the settings for `func start` instead")
    parser.add_argument("--settings", type=Path, default=SETTINGS_FILE, help="the file for these settings")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        with LocalCluster(options_from(os.environ, host=not options.without_host)) as cluster:
            file = options.settings if options.without_host else None
            with written_settings(file, cluster.environment()) if file else contextlib.nullcontext():
                print_instructions(cluster, file)
                watch(cluster)
    except KeyboardInterrupt:
        report("stopped")
    except (UnusableOptionError, SettingsFileError, StartError) as problem:
        sys.exit(f"run: {problem}")


def options_from(environment: Mapping[str, str], *, host: bool) -> ClusterOptions:
    port = environment.get("PORT") or "7071"
    if not (port.isdecimal() and 1 <= int(port) <= HIGHEST_PORT):
        sys.exit(f"run: PORT={port} is not a port number; choose one from 1 to {HIGHEST_PORT}")
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
        sys.exit(f"run: unknown MODEL={model}; choose {' or '.join(MODELS)}")
    return model


def store_from(environment: Mapping[str, str]) -> StoreKind:
    store = environment.get("STORE") or "sqlite"
    if store not in STORES:
        sys.exit(f"run: unknown STORE={store}; choose {' or '.join(STORES)}")
    return store


def cold_from(environment: Mapping[str, str]) -> str:
    """Reads COLD; 0 means models that are always warm."""
    cold = environment.get("COLD") or "0"
    try:
        span = seconds_range_from(cold)
    except ValueError:
        sys.exit(f"run: COLD={cold} must be a number of seconds, for example 5, or a range, for example 3-9")
    return cold if span.high else ""


def print_instructions(cluster: LocalCluster, settings_file: Path | None) -> None:
    prefix = "" if cluster.port == 7071 else f"PORT={cluster.port} "  # noqa: PLR2004 - the default port of make
    if settings_file:
        print(PARTS_EXAMPLE.format(file=settings_file, folder=settings_file.parent, choice=prefix), flush=True)
        return
    console = f"{cluster.issuer_url}/console?port={cluster.port}"
    shown = {"url": cluster.base_url, "model": cluster.options.model, "data": cluster.data, "console": console}
    print(EXAMPLE.format(choice=prefix, **shown), flush=True)


def watch(cluster: LocalCluster) -> None:
    """Waits for Ctrl-C; reports a child that ended by itself, and raises StartError when the host ended."""
    ended: set[str] = set()
    while True:
        time.sleep(WATCH_S)
        if cluster.host and not cluster.host.alive:
            raise cluster.host.start_error(f"ended with exit code {cluster.host.process.returncode}")
        for name, child in (cluster.services | cluster.models).items():
            if name not in ended and not child.alive:
                ended.add(name)
                report(f"{name} ended; its log is {child.spec.log}")


def report(line: str) -> None:
    print(f"run: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
