"""Which access token may I use now? `python -m standins.token` prints one, alone, for a running instance.

TOKEN_USER, TOKEN_TENANT, TOKEN_APP and PORT choose, as do the options.
"""

import argparse
import os
import sys
from pathlib import Path

from standins.clock import now
from standins.cluster import run_record
from standins.issuer.entra_tokens import issuer_in


def main() -> None:
    given = options()
    found = run_record.running(given.port)
    if found is None:
        sys.exit(f"token: nothing runs on port {given.port}. Start it with `make run`, or name its port: PORT=7072")
    issuer = issuer_in(Path(found["data"]))
    if given.app:
        print(issuer.app_token(now=now(), app="batch" if given.app == "1" else given.app, tenant=given.tenant))
    else:
        print(issuer.user_token(now=now(), user=given.user, tenant=given.tenant))


def options() -> argparse.Namespace:
    chosen = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m standins.token", description="prints an access token")
    parser.add_argument("--port", type=int, default=int(chosen("PORT") or 7071))
    parser.add_argument("--user", default=chosen("TOKEN_USER") or "alice", help="a name or a GUID")
    parser.add_argument("--tenant", default=chosen("TOKEN_TENANT") or "contoso", help="contoso, fabrikam or a GUID")
    parser.add_argument("--app", default=chosen("TOKEN_APP"), help="1 or a name: a program's own token, not a user's")
    return parser.parse_args()


if __name__ == "__main__":
    main()
