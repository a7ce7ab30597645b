"""Does the whole of it work on this machine? `python -m standins.demo` shows it, and exits 0 only if it all happened.

MODEL chooses the real model or the scripted one.
"""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from openai import AsyncOpenAI, OpenAIError

from standins.cast import Options
from standins.child import StartError
from standins.demo.following import DemoError
from standins.demo.screen import Screen, screen_here
from standins.demo.story import Story
from standins.run import model_from
from standins.stage import Stage

LIMIT_S = 300.0


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    data = Path(tempfile.mkdtemp(prefix="ganglion-demo-"))
    try:
        play(Options(data=data, model=model_from(os.environ), say=lambda line: print(f"  {line} ...", flush=True)))
    except (DemoError, OpenAIError, StartError, TimeoutError) as problem:
        sys.exit(f"\ndemo: did not happen: {problem or 'in time'}\ndemo: the logs are in {data}/logs")
    except KeyboardInterrupt:
        shutil.rmtree(data)
        sys.exit("\ndemo: stopped")
    shutil.rmtree(data)


def play(options: Options) -> None:
    screen = screen_here()
    screen.title(f"Ganglion on one machine, with the {options.model} model")
    with Stage(options) as stage:
        screen.line("serving", f"{stage.base_url}/v1; the worker is process {stage.worker_pid}")
        asyncio.run(tell(stage, screen))


async def tell(stage: Stage, screen: Screen) -> None:
    async with asyncio.timeout(LIMIT_S), AsyncOpenAI(base_url=f"{stage.base_url}/v1", api_key=stage.token()) as client:
        await Story(stage=stage, client=client, screen=screen).tell()


if __name__ == "__main__":
    main()
