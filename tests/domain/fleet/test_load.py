"""Is the load that many processes count in parts of their own the one that a single process would count?"""

from collections.abc import Mapping
from copy import replace
from random import Random

import pytest

from domain.fleet.load import KEPT_S, Load, LoadPart, QueuePlace, merged

NOW = 1000.0
LONG = 500.0


def others(parts: Mapping[str, LoadPart], process: str) -> Load:
    return merged(replace(part, left={}) for name, part in parts.items() if name != process)


def changed(parts: dict[str, LoadPart], process: str, load: Load, now: float) -> None:
    """Let a process write its part so that all parts together become a load."""
    mine = parts.get(process, LoadPart())
    parts[process] = mine.after(load, others=others(parts, process), now=now)


def next_load(load: Load, random: Random, number: int, now: float) -> Load:
    """Return the load after an attempt or a queued turn has come or gone."""
    running, queued = sorted(load.in_flight), sorted(load.queue_places)
    match random.randrange(4):
        case 0 if running:
            return load.without_attempt(random.choice(running))
        case 1 if queued:
            return load.without_place(random.choice(queued))
        case 2:
            return load.with_place(f"resp_{number}", QueuePlace(now, now + LONG), now=now)
        case _:
            return load.with_attempt(f"attempt_{number}", until=now + LONG, now=now)


@pytest.mark.parametrize("seed", range(20))
def test_parts_together_are_the_load_of_one_process(seed: int) -> None:
    random, load = Random(seed), Load()  # noqa: S311 - a test must repeat
    parts: dict[str, LoadPart] = {}
    for number in range(60):
        now = NOW + number
        load = next_load(load, random, number, now)
        changed(parts, random.choice("abc"), load, now)
        assert merged(parts.values()) == load


def test_an_attempt_that_ends_in_another_process_is_over_at_once() -> None:
    parts: dict[str, LoadPart] = {}
    changed(parts, "a", Load().with_attempt("one", until=NOW + 60, now=NOW), NOW)
    changed(parts, "b", Load(), NOW + 1)
    assert merged(parts.values()) == Load()
    assert parts["b"].left == {"one": NOW + 60}


def test_an_attempt_that_begins_again_counts_again() -> None:
    parts: dict[str, LoadPart] = {}
    changed(parts, "a", Load().with_attempt("one", until=NOW + 60, now=NOW), NOW)
    changed(parts, "b", Load(), NOW + 1)
    for process in ("a", "b", "c"):
        again = dict(parts)
        changed(again, process, Load().with_attempt("one", until=NOW + 90, now=NOW), NOW + 2)
        assert merged(again.values()).in_flight == {"one": NOW + 90}


def test_what_has_left_is_forgotten_when_it_would_have_ended_by_itself() -> None:
    parts: dict[str, LoadPart] = {}
    changed(parts, "a", Load().with_attempt("one", until=NOW + 60, now=NOW), NOW)
    changed(parts, "b", Load(), NOW + 1)
    changed(parts, "b", Load().with_attempt("two", until=NOW + 200, now=NOW + 61), NOW + 61)
    assert parts["b"].left == {}
    assert merged(parts.values()).running(NOW + 61) == 1


def test_a_part_is_kept_until_its_last_entry_has_ended() -> None:
    load = Load().with_attempt("one", until=NOW + 60, now=NOW).with_place("r", QueuePlace(NOW, NOW + 90), now=NOW)
    assert LoadPart(load=load).kept_until(NOW) == NOW + 90 + KEPT_S
    assert LoadPart(left={"two": NOW + 5}).kept_until(NOW) == NOW + 5 + KEPT_S
    assert LoadPart().kept_until(NOW) == NOW + KEPT_S
