"""Which access token does a running cluster accept? `python -m standins.token` prints one and nothing else.

The options, or TOKEN_USER, TOKEN_TENANT, TOKEN_APP, TOKEN_ROLES and PORT in the environment, choose whose token it is
and which app roles it grants.
"""

import argparse
import os
import sys
from pathlib import Path

from standins.clock import now
from standins.cluster import run_record
from standins.issuer.entra_tokens import ROLE, issuer_in


def main() -> None:
    chosen = options()
    record = run_record.running(chosen.port)
    if record is None:
        sys.exit(f"token: no cluster runs on port {chosen.port}. Start one with `make run`, or set PORT to its port")
    issuer = issuer_in(Path(record["data"]))
    roles = [name for name in chosen.roles.split(",") if name]
    if chosen.app:
        app, claims = "batch" if chosen.app == "1" else chosen.app, {"roles": [ROLE, *roles]}
        print(issuer.app_token(now=now(), app=app, tenant=chosen.tenant, claims=claims))
    else:
        claims = {"roles": roles} if roles else {}
        print(issuer.user_token(now=now(), user=chosen.user, tenant=chosen.tenant, claims=claims))


def options() -> argparse.Namespace:
    variable = os.environ.get
    parser = argparse.ArgumentParser(
        prog="python -m standins.token", description="print an access token of the local token issuer"
    )
    parser.add_argument(
        "--port", type=int, default=int(variable("PORT") or 7071), help="of the running cluster (default: 7071)"
    )
    parser.add_argument("--user", default=variable("TOKEN_USER") or "alice", help="a name or a GUID")
    parser.add_argument("--tenant", default=variable("TOKEN_TENANT") or "contoso", help="contoso, fabrikam or a GUID")
    parser.add_argument(
        "--app", default=variable("TOKEN_APP"), help="1 or a name: the token of an app instead of a user"
    )
    parser.add_argument(
        "--roles", default=variable("TOKEN_ROLES") or "", help="app roles, such as Usage.Read,Operations.Read"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
