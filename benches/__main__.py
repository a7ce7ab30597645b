"""How fast is the product? Runs every benchmark, one after the other: `make bench`."""

from benches import (
    cancels,
    cold,
    cosmos,
    devhost,
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
from benches.console import first_paint
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

for name, bench in BENCHES:
    print(f"\n## {name}\n")
    bench()
