"""Which way of serving the own requests is the cheapest? `python -m benches.economics --help` explains the inputs."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benches.economics.inputs import MissingInputError, positive, read_machine, read_owned, read_requests, token_price
from benches.economics.report import compared, plot, print_report
from domain.config.prices_toml import prices_from_toml
from settings import ROOT


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison; return 0, or 1 where an input is missing or wrong."""
    options = command_line().parse_args(arguments)
    try:
        run(options)
    except MissingInputError as problem:
        sys.stderr.write(f"economics: {problem}\n")
        return 1
    return 0


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benches.economics", description=__doc__)
    parser.add_argument("requests", type=Path, help="a trace, or the CSV of GET /v1/usage?group_by=hour&format=csv")
    parser.add_argument("--prices", type=Path, default=ROOT / "prices.toml")
    parser.add_argument("--api", required=True, help="the name of a price per token")
    parser.add_argument(
        "--gpu",
        action="append",
        required=True,
        help="price=NAME,start_s=…,prefill=…,decode=…,context=…,parallel=…: seconds, tokens/s, tokens, requests "
        "at once; the first machine is compared, all are mixed",
    )
    parser.add_argument("--controlled-idle-s", required=True, help="after how many idle seconds we end a session")
    parser.add_argument("--owned", required=True, help="purchase_usd=…,power_kw=…,kwh_usd=…,month_usd=…")
    parser.add_argument("--json", type=Path, help="writes the numbers to this file")
    parser.add_argument("--svg", type=Path, help="writes the plot to this file")
    return parser


def run(options: argparse.Namespace) -> None:
    prices = prices_from_toml(options.prices.read_text(encoding="utf-8"))
    report = compared(
        read_requests(options.requests),
        token_price(prices, options.api),
        [read_machine(each, prices) for each in options.gpu],
        controlled_idle_s=float(positive("--controlled-idle-s", options.controlled_idle_s)),
        owned=read_owned(options.owned),
    )
    print_report(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.svg:
        options.svg.write_text(plot(report), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
