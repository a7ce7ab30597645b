"""How fast is the product? Runs every benchmark, one after the other: `make bench`."""

from benches import cancels, cold, cosmos, devhost, importing, limits, money, store, tokens, turns
from benches.routing import comparison
from benches.streams import many_streams

BENCHES = (
    ("importing", importing.main),
    ("store", store.main),
    ("tokens", tokens.main),
    ("limits", limits.main),
    ("money", money.main),
    ("routing", comparison.main),
    ("turns", turns.main),
    ("streams", many_streams.main),
    ("cancels", cancels.main),
    ("cold", cold.main),
    ("devhost", devhost.main),
    ("cosmos", cosmos.main),
)

for name, bench in BENCHES:
    print(f"\n## {name}\n")
    bench()
