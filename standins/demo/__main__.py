"""Does the whole of it work on this machine? `python -m standins.demo` shows it, and exits 0 only if it all happened.

MODEL chooses the real model or the scripted one, COLD the seconds that the GPU takes to start.
"""

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
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    data = Path(tempfile.mkdtemp(prefix="ganglion-demo-"))
    try:
        play(options_in(data))
    except (DemoError, OpenAIError, httpx.HTTPError, StartError, TimeoutError) as problem:
        sys.exit(f"\ndemo: did not happen: {str(problem) or 'not in time'}\ndemo: the logs are in {data}/logs")
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
        environment=environment_in(data),
        report=lambda line: print(f"  {line} ...", flush=True),
    )


def play(options: ClusterOptions) -> None:
    screen = open_screen()
    screen.title(f"Ganglion on one machine, with the {options.model} model behind a GPU that sleeps")
    with LocalCluster(options) as stage:
        screen.field("serving", f"{stage.base_url}/v1; the worker is process {stage.worker_pid}")
        asyncio.run(tell(stage, screen))


async def tell(stage: LocalCluster, screen: TerminalScreen) -> None:
    async with asyncio.timeout(LIMIT_S), httpx.AsyncClient() as http:
        person = await sign_in(stage, http)
        screen.field("you are", person.description())
        (name,) = stage.models
        gpu = GpuMonitor(name=name, client=http, url=stage.model_url(name), issuer_url=stage.issuer_url)
        async with AsyncOpenAI(base_url=f"{stage.base_url}/v1", api_key=person.token) as client:
            await DemoScenario(stage=stage, client=client, gpu=gpu, screen=screen).run()


if __name__ == "__main__":
    main()
