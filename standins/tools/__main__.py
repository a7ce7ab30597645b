"""Which options start the shop? `python -m standins.tools --port 0`."""

import argparse
import asyncio

from standins.processes.http_server import serve
from standins.processes.parent_watch import end_with_stdin
from standins.tools.server import Shop


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m standins.tools", description="a shop with orders and refunds")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    options = parser.parse_args()
    end_with_stdin()
    asyncio.run(serve(Shop().application(), options.port))


if __name__ == "__main__":
    main()
