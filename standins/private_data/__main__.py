"""Which options start the private data service? `python -m standins.private_data --port 0`."""

import argparse
import asyncio

from standins.private_data.server import PrivateData
from standins.processes.http_server import serve
from standins.processes.parent_watch import end_with_stdin


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m standins.private_data", description="orders and documents of fictitious accounts"
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    options = parser.parse_args()
    end_with_stdin()
    asyncio.run(serve(PrivateData().application(), options.port))


if __name__ == "__main__":
    main()
