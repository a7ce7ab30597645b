"""Which options start the stand-ins? `python -m standins.systems --rate 50 --start-s 1 --idle-s 30`."""

import argparse
import asyncio
from pathlib import Path

from standins.clock import now
from standins.issuer.google_tokens import google_key_in
from standins.processes.http_server import serve
from standins.processes.parent_watch import end_with_stdin
from standins.scripted.server import ScriptedModel, TokenPace
from standins.systems.identities import TokenKeys
from standins.systems.service import Systems


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m standins.systems",
        description="the stand-ins of all inference systems, with the scripted model behind them",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--rate", type=float, default=50.0, help="tokens a second; 0 is as fast as possible")
    parser.add_argument("--start-s", type=float, default=1.0, help="seconds that an instance takes to start")
    parser.add_argument("--idle-s", type=float, default=60.0, help="seconds after which an idle instance sleeps")
    parser.add_argument(
        "--data", type=Path, help="the data folder of standins.issuer; with it, tokens and signatures are verified"
    )
    options = parser.parse_args()
    end_with_stdin()
    model = ScriptedModel(pace=TokenPace(rate=options.rate, first_token_s=0.0), continues=True, clock=now)
    issuers = TokenKeys(data=options.data, google=google_key_in(options.data)) if options.data else None
    systems = Systems(model=model, start_s=options.start_s, idle_s=options.idle_s, clock=now, issuers=issuers)
    asyncio.run(serve(systems.application(), options.port))


if __name__ == "__main__":
    main()
