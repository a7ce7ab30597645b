"""Which options start the scripted model? `python -m standins.scripted --port 0 --rate 50`."""

import argparse
import asyncio

from standins.clock import now
from standins.processes.http_server import serve
from standins.processes.parent_watch import end_with_stdin
from standins.scripted.server import ScriptedModel, TokenPace


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m standins.scripted", description="a scripted OpenAI-compatible model"
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--rate", type=float, default=50.0, help="tokens a second; 0 is as fast as possible")
    parser.add_argument("--first-token-s", type=float, default=0.0, help="seconds before the first token")
    parser.add_argument("--no-continue", action="store_true", help="answer 400 to a partial assistant message")
    parser.add_argument("--length", type=int, help="tokens of an answer without a command; by default 20 to 40")
    options = parser.parse_args()
    end_with_stdin()
    pace = TokenPace(rate=options.rate, first_token_s=options.first_token_s)
    model = ScriptedModel(pace=pace, continues=not options.no_continue, clock=now, length=options.length)
    asyncio.run(serve(model.application(), options.port))


if __name__ == "__main__":
    main()
