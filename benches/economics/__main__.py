"""Which way of serving your own requests is the cheapest: an API, GPUs that scale to zero, or your own machine?"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benches.economics.inputs import (
    MissingInputError,
    Request,
    positive,
    read_machine,
    read_owned,
    read_requests,
    token_price,
)
from benches.economics.ledger import publish_run, requests_of_ledger, variables_of
from benches.economics.plots import plots
from benches.economics.report import compared, print_report
from domain.config.prices_toml import prices_from_toml
from domain.errors import GanglionError
from settings import ROOT

LEDGER = "ledger"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison; return 0, or 1 where an input is missing or wrong, or the store cannot be used."""
    options = command_line().parse_args(arguments)
    try:
        run(options)
    except (MissingInputError, GanglionError, OSError) as problem:
        sys.stderr.write(f"economics: {problem}\n")
        return 1
    return 0


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benches.economics", description=__doc__)
    parser.add_argument(
        "requests",
        help="a trace, the CSV of GET /v1/usage?group_by=hour&format=csv, or ledger: the attempts of --tenant",
    )
    parser.add_argument(
        "--prices", type=Path, default=ROOT / "prices.toml", help="the file of prices (default: prices.toml)"
    )
    parser.add_argument("--api", required=True, help="the API: the name of a price per token")
    parser.add_argument(
        "--gpu",
        action="append",
        required=True,
        metavar="price=NAME,start_s=…,prefill=…,decode=…,context=…,parallel=…",
        help="a GPU: the name of a price by time, the seconds of a start, the input and the output tokens a second of "
        "one request, the tokens of its context, the requests at once. Name it again for another type: the table "
        "compares the first, the mixes take all",
    )
    parser.add_argument(
        "--controlled-idle-s",
        required=True,
        metavar="SECONDS",
        help="how long a GPU is idle before the product ends its session itself",
    )
    parser.add_argument(
        "--owned",
        required=True,
        metavar="purchase_usd=…,power_kw=…,kwh_usd=…,month_usd=…",
        help="your own machine: its price, its power, the price of a kWh, and what its place costs a month",
    )
    parser.add_argument("--tenant", default="", help="the tenant whose ledger is read and who sees the published run")
    parser.add_argument("--settings", type=Path, help="a file like local.settings.json with the settings of the app")
    parser.add_argument("--publish", action="store_true", help="stores the run for GET /v1/economics and the console")
    parser.add_argument("--json", type=Path, help="writes the numbers to this file")
    parser.add_argument("--svg", type=Path, help="writes the plots to this file")
    return parser


def run(options: argparse.Namespace) -> None:
    tenant = tenant_of(options) if options.publish else ""
    prices = prices_from_toml(options.prices.read_text(encoding="utf-8"))
    report = compared(
        requests_of(options),
        token_price(prices, options.api),
        [read_machine(each, prices) for each in options.gpu],
        controlled_idle_s=float(positive("--controlled-idle-s", options.controlled_idle_s)),
        owned=read_owned(options.owned),
    )
    report = {**report, "inputs": inputs_of(options)}
    print_report(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.svg:
        options.svg.write_text(plots(report), encoding="utf-8")
    if options.publish:
        asyncio.run(publish_run(variables_of(options.settings), tenant, report))


def requests_of(options: argparse.Namespace) -> Sequence[Request]:
    if options.requests != LEDGER:
        return read_requests(Path(options.requests))
    return asyncio.run(requests_of_ledger(variables_of(options.settings), tenant_of(options)))


def tenant_of(options: argparse.Namespace) -> str:
    if not options.tenant:
        raise MissingInputError(
            "--tenant: expected the tenant whose ledger is read and who sees the run, found nothing"
        )
    return options.tenant


def inputs_of(options: argparse.Namespace) -> Mapping[str, Any]:
    """Return what was compared, as it was named; of a file its name alone."""
    return {
        "requests": Path(options.requests).name,
        "api": options.api,
        "gpus": options.gpu,
        "controlled_idle_s": options.controlled_idle_s,
        "owned": options.owned,
    }


if __name__ == "__main__":
    sys.exit(main())
