"""Is every object of the product built once?"""

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MethodType

from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import World

PACKAGES = frozenset({"composition", "api", "activities", "state", "clients"})
"""Values of the domain may repeat."""


def parts_of(found: object) -> Iterator[object]:
    """Yield what an object of the product holds: its attributes, the values of a mapping, the owner of a method."""
    if isinstance(found, Mapping):
        yield from found.values()
    elif isinstance(found, list | tuple):
        yield from found
    elif isinstance(found, MethodType):
        yield found.__self__
    elif type(found).__module__.partition(".")[0] in PACKAGES:
        slots = [name for kind in type(found).__mro__ for name in getattr(kind, "__slots__", ())]
        yield from (getattr(found, name) for name in (*getattr(found, "__dict__", {}), *slots) if hasattr(found, name))


def all_parts(root: object) -> Iterator[object]:
    seen, left = {id(root): root}, [root]
    while left:
        found = left.pop()
        yield found
        fresh = {id(part): part for part in parts_of(found) if id(part) not in seen}
        seen |= fresh
        left += fresh.values()


def test_every_object_is_built_once() -> None:
    """Backends' states and the parts of their load are read by one `ReadOnce` each."""
    clock = FakeClock()
    world = World(store=MemoryStore(clock), clock=clock, backends={})
    kinds = [type(part) for part in all_parts(world.app)]
    built = Counter(kind.__name__ for kind in kinds if kind.__module__.partition(".")[0] in PACKAGES)
    assert built["TurnStore"] == built["AdmissionPlanner"] == 1
    assert {name: count for name, count in built.items() if count > 1} == {"ReadOnce": 2}
