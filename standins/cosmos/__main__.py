"""How does a local Cosmos DB start? `python -m standins.cosmos --port 0 --data DIR`.

It prints a line of JSON with its port when it serves. The account's key and the CA are in DIR/cosmos. With --keys, a
file of public keys (JWKS), it accepts access tokens of their issuer as well as the account's key.
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
    parser = argparse.ArgumentParser(prog="python -m standins.cosmos", description="serve a local Cosmos DB")
    parser.add_argument("--port", type=int, default=8081, help="0 takes a free port (default: 8081)")
    parser.add_argument("--data", type=Path, required=True, help="folder for the account, its journal and its CA")
    parser.add_argument(
        "--keys", type=Path, help="file of public keys (JWKS): with it, access tokens are accepted, too"
    )
    options = parser.parse_args()
    try:
        node = find_node()
        modules = installed_packages(node)
    except SetUpError as problem:
        sys.exit(f"cosmos: {problem}")
    server_options = server_options_for(account_in(options.data), options.port, options.keys)
    os.environ["NODE_PATH"] = str(modules)
    os.execv(node.path, [node.path, str(SERVER / "main.js"), json.dumps(server_options)])  # noqa: S606 - exec keeps the pid, so that the parent stops the server itself


def server_options_for(account: AccountFiles, port: int, keys: Path | None) -> dict[str, object]:
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
