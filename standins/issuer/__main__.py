"""Which options start the stand-in for Entra, the managed identity endpoint, and Google's STS and IAM?

`python -m standins.issuer --data DIR --port 0` keeps its keys in DIR/identity.
"""

import argparse
import asyncio
from pathlib import Path

from standins.clock import now
from standins.issuer.entra_tokens import issuer_in
from standins.issuer.server import application
from standins.processes.http_server import serve
from standins.processes.parent_watch import end_with_stdin


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m standins.issuer",
        description="stand-in for Microsoft Entra, managed identity, Google STS and AWS STS",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--data", type=Path, required=True, help="folder for its keys")
    options = parser.parse_args()
    end_with_stdin()
    issuer_in(options.data)
    asyncio.run(serve(application(options.data, now), options.port))


if __name__ == "__main__":
    main()
