"""How fast is it? Runs every benchmark, one after the other: `make bench`."""

from benches import cosmos, importing, limits, money, routing, store, tokens, turns

BENCHES = (
    ("importing", importing.main),
    ("store", store.main),
    ("tokens", tokens.main),
    ("limits", limits.main),
    ("money", money.main),
    ("routing", routing.main),
    ("routing", routing.main),
    ("turns", turns.main),
    ("devhost", devhost.main),
    ("cosmos", cosmos.main),
)

for name, bench in BENCHES:
    print(f"\n## {name}\n")
    bench()
