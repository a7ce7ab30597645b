"""How fast is it? Runs every benchmark, one after the other: `make bench`."""

from benches import cancels, cold, cosmos, devhost, importing, limits, money, routing, store, streams, tokens, turns

BENCHES = (
    ("importing", importing.main),
    ("store", store.main),
    ("tokens", tokens.main),
    ("limits", limits.main),
    ("money", money.main),
    ("routing", routing.main),
    ("turns", turns.main),
    ("streams", streams.main),
    ("cancels", cancels.main),
    ("cold", cold.main),
    ("devhost", devhost.main),
    ("cosmos", cosmos.main),
)

for name, bench in BENCHES:
    print(f"\n## {name}\n")
    bench()
