"""Which options start the stand-in for Entra, the managed identity endpoint, and Google's STS and IAM?

`python -m standins.issuer --data DIR --port 0`; its keys lie under DIR/identity.
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
    parser = argparse.ArgumentParser(prog="python -m standins.issuer", description="Entra and Google, on this machine")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--data", type=Path, required=True, help="the folder of its keys")
    given = parser.parse_args()
    end_with_stdin()
    issuer_in(given.data)
    asyncio.run(serve(application(given.data, now), given.port))


if __name__ == "__main__":
    main()
