"""How are whole amounts and intervals divided into parts that add up?"""

from collections.abc import Mapping
from fractions import Fraction


def apportioned[K](amount: int, weights: Mapping[K, Fraction]) -> Mapping[K, int]:
    """Divide a whole amount in proportion to weights into whole parts that add up (largest remainder method)."""
    whole = sum(weights.values(), Fraction(0))
    names = list(weights)
    if not whole:
        return {name: amount if name == names[0] else 0 for name in names}
    exact = {name: amount * weight / whole for name, weight in weights.items()}
    parts = {name: int(part) for name, part in exact.items()}
    left = amount - sum(parts.values())
    for name in sorted(names, key=lambda name: parts[name] - exact[name])[:left]:
        parts[name] += 1
    return parts


def split_at(interval: tuple[int, int], at: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the parts of an interval before and after a time; one of them is empty where the time is outside."""
    begin, end = interval
    middle = min(max(begin, at), end)
    return (begin, middle), (middle, end)
