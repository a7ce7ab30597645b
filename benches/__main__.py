"""How fast is it? Runs every benchmark, one after the other: `make bench`."""

from benches import importing, store, tokens, turns

BENCHES = (("importing", importing.main), ("store", store.main), ("tokens", tokens.main), ("turns", turns.main))

for name, bench in BENCHES:
    print(f"\n## {name}\n")
    bench()
