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

from standins.cluster.local_cluster import Stage
from standins.cluster.process_specs import Options
from standins.demo.costs import environment_in
from standins.demo.gpu import TAIL_S, Gpu
from standins.demo.scenario import Story
from standins.demo.sign_in import sign_in
from standins.demo.terminal import Screen, screen_here
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


def options_in(data: Path) -> Options:
    return Options(
        data=data,
        model=model_from(os.environ),
        cold=cold_from(os.environ) or START_S,
        gpu=("--tail", TAIL_S),
        environment=environment_in(data),
        say=lambda line: print(f"  {line} ...", flush=True),
    )


def play(options: Options) -> None:
    screen = screen_here()
    screen.title(f"Ganglion on one machine, with the {options.model} model behind a GPU that sleeps")
    with Stage(options) as stage:
        screen.line("serving", f"{stage.base_url}/v1; the worker is process {stage.worker_pid}")
        asyncio.run(tell(stage, screen))


async def tell(stage: Stage, screen: Screen) -> None:
    async with asyncio.timeout(LIMIT_S), httpx.AsyncClient() as http:
        person = await sign_in(stage, http)
        screen.line("you are", person.tell())
        (name,) = stage.models
        gpu = Gpu(name=name, client=http, url=stage.model_url(name), issuer_url=stage.issuer_url)
        async with AsyncOpenAI(base_url=f"{stage.base_url}/v1", api_key=person.token) as client:
            await Story(stage=stage, client=client, gpu=gpu, screen=screen).tell()


if __name__ == "__main__":
    main()
