"""How does one serve a Cosmos DB on this machine? `python -m standins.cosmos --port 0 --data DIR`.

Prints a line of JSON with its port once it serves; the account's key and the CA lie in DIR/cosmos. With --keys, a file
of public keys (JWKS), it takes their issuer's access tokens beside the account's key.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from standins.cosmos.account import AUDIENCES, AccountFiles, account_in
from standins.cosmos.node import SERVER, SetUpError, find_node, installed_packages
from standins.processes.http_server import HOST


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m standins.cosmos", description="serves a local Cosmos DB")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--keys", type=Path)
    given = parser.parse_args()
    try:
        node = find_node()
        modules = installed_packages(node)
    except SetUpError as problem:
        sys.exit(f"cosmos: {problem}")
    options = options_for(account_in(given.data), given.port, given.keys)
    os.environ["NODE_PATH"] = str(modules)
    os.execv(node.path, [node.path, str(SERVER / "main.js"), json.dumps(options)])  # noqa: S606 - the pid stays, so that whoever started this stops the server


def options_for(account: AccountFiles, port: int, keys: Path | None) -> dict[str, object]:
    return {
        "host": HOST,
        "port": port,
        "pair": str(account.certificate),
        "masterKeyFile": str(account.key_file),
        "jwks": str(keys) if keys else None,
        "audience": AUDIENCES,
        "journal": str(account.journal),
    }


if __name__ == "__main__":
    main()
