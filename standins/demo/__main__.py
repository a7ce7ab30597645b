"""Does the whole product work on this machine? `python -m standins.demo` exits 0 only if every check held.

MODEL chooses the real or the scripted model, COLD the start-up time of the GPU in seconds.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import httpx
from openai import AsyncOpenAI, OpenAIError

from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import ClusterOptions
from standins.demo.approved_refund import tools_in
from standins.demo.costs import environment_in
from standins.demo.gpu import IDLE_S, GpuMonitor
from standins.demo.scenario import DemoScenario
from standins.demo.sign_in import sign_in
from standins.demo.terminal import TerminalScreen, open_screen
from standins.demo.turn_stream import DemoError
from standins.processes.child_process import StartError
from standins.run import cold_from, model_from

LIMIT_S = 300.0
START_S = "5"


def main() -> None:
    argparse.ArgumentParser(prog="python -m standins.demo", description=__doc__).parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    data = Path(tempfile.mkdtemp(prefix="ganglion-demo-"))
    try:
        run(options_in(data))
    except (DemoError, OpenAIError, httpx.HTTPError, StartError, TimeoutError) as problem:
        sys.exit(f"\ndemo: failed: {str(problem) or 'timed out'}\ndemo: the logs are in {data}/logs")
    except KeyboardInterrupt:
        shutil.rmtree(data)
        sys.exit("\ndemo: stopped")
    shutil.rmtree(data)


def options_in(data: Path) -> ClusterOptions:
    return ClusterOptions(
        data=data,
        model=model_from(os.environ),
        cold=cold_from(os.environ) or START_S,
        gpu=("--tail", IDLE_S),
        environment={**environment_in(data), **tools_in(data)},
        report=lambda line: print(f"  {line} ...", flush=True),
    )


def run(options: ClusterOptions) -> None:
    screen = open_screen()
    screen.title(f"Ganglion on one machine: the {options.model} model on a GPU that scales to zero")
    with LocalCluster(options) as cluster:
        screen.field("serving", f"{cluster.base_url}/v1, worker process {cluster.worker_pid}")
        asyncio.run(run_scenario(cluster, screen))


async def run_scenario(cluster: LocalCluster, screen: TerminalScreen) -> None:
    async with asyncio.timeout(LIMIT_S), httpx.AsyncClient() as http:
        user = await sign_in(cluster, http)
        screen.field("user", user.description())
        (name,) = cluster.models
        gpu = GpuMonitor(name=name, client=http, url=cluster.model_url(name), issuer_url=cluster.issuer_url)
        async with AsyncOpenAI(base_url=f"{cluster.base_url}/v1", api_key=user.token) as client:
            await DemoScenario(cluster=cluster, client=client, gpu=gpu, screen=screen).run()


if __name__ == "__main__":
    main()
