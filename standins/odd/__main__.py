"""Which options start the odd backend? `python -m standins.odd --port 0 --answer refusal`."""

import argparse
import asyncio

from standins.odd.answers import ANSWERS
from standins.odd.server import OddBackend
from standins.processes.http_server import serve
from standins.processes.parent_watch import end_with_stdin


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m standins.odd",
        description="a chat server whose answers differ from the specification, as users of real servers reported",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument(
        "--answer", choices=sorted(ANSWERS), help="the answer to every request; by default the request's model names it"
    )
    options = parser.parse_args()
    end_with_stdin()
    asyncio.run(serve(OddBackend(answer=options.answer).application(), options.port))


if __name__ == "__main__":
    main()
