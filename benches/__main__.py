"""How fast is the product? Runs every benchmark with its own defaults, one after the other: `make bench`.

`python -m benches.NAME --help` says what one of them measures, and which numbers it takes.
"""

from benches import (
    cancels,
    cold,
    cosmos,
    inputs,
    limits,
    money,
    store,
    telemetry,
    tokens,
    turns,
)
from benches.backends import measures
from benches.batches import __main__ as batches
from benches.command_line import parser_of_bench
from benches.console import first_paint
from benches.devhost import measures as devhost
from benches.imports import app, package
from benches.operations import __main__ as operations
from benches.routing import comparison
from benches.scale import comparison as scale
from benches.streams import many_streams
from benches.tools import __main__ as tools

BENCHES = (
    ("importing", app.main),
    ("package import", package.main),
    ("operations", operations.main),
    ("store", store.main),
    ("backends", measures.main),
    ("tokens", tokens.main),
    ("limits", limits.main),
    ("money", money.main),
    ("routing", comparison.main),
    ("turns", turns.main),
    ("scale", scale.main),
    ("inputs", inputs.main),
    ("telemetry", telemetry.main),
    ("streams", many_streams.main),
    ("cancels", cancels.main),
    ("tools", tools.main),
    ("batches", batches.main),
    ("cold", cold.main),
    ("devhost", devhost.main),
    ("first paint of the console", first_paint.main),
    ("cosmos", cosmos.main),
)

parser_of_bench().parse_args()
for name, bench in BENCHES:
    print(f"\n## {name}\n")
    bench()
