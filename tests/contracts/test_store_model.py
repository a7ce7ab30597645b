"""Does every store behave like a dictionary under random operations?"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from clients.storage.port import Add, Container, Create, Delete, DocumentKey, DocumentStore, Operation, Replace
from domain.errors import Conflict, Exhausted, GanglionError
from tests.contracts.conftest import ADAPTERS
from tests.fakes.clocks import FakeClock

pytestmark = pytest.mark.slow

IDS = ("a", "a_", "a_1", "a_10", "a_2", "a`", "b")
STALE = "stale"
CURRENT = "current"
EXAMPLES = {"normal": 60, "long": 1000}
DEAR = {"cosmos": 0.08}  # over HTTP a step takes milliseconds

numbers = st.integers(-3, 6)
bodies = st.fixed_dictionaries({"n": numbers}, optional={"status": st.sampled_from("xy"), "at": numbers})
lives = st.one_of(st.none(), st.integers(0, 5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operation as a test draws it: `etag` is stale, current or none; `life` is in seconds from now."""

    name: str
    id: str
    body: dict[str, Any]
    life: int | None
    etag: str | None
    at_most: int | None


steps = st.builds(
    Step,
    name=st.sampled_from(["create", "replace", "delete", "add"]),
    id=st.sampled_from(IDS),
    body=bodies,
    life=lives,
    etag=st.sampled_from([STALE, CURRENT, CURRENT, None]),
    at_most=st.one_of(st.none(), numbers),
)


@dataclass(slots=True, kw_only=True)
class Entry:
    body: dict[str, Any]
    expires_at: float | None


type Model = dict[str, Entry]


def play(model: Model, step: Step, now: float, *, fresh: bool) -> type[GanglionError] | None:
    """Do a step to the model, or say how it fails. `fresh` says whether the batch has left the document alone."""
    entry = model.get(step.id)
    current = step.etag == CURRENT and fresh
    expires_at = None if step.life is None else now + step.life
    match step.name:
        case "create" if entry is None:
            model[step.id] = Entry(body=step.body, expires_at=expires_at)
        case "replace" if entry and current:
            model[step.id] = Entry(body=step.body, expires_at=expires_at)
        case "delete" if entry is None or step.etag is None or current:
            model.pop(step.id, None)
        case "add" if entry:
            total = entry.body["n"] + step.body["n"]
            if step.at_most is not None and total > step.at_most:
                return Exhausted
            model[step.id] = Entry(body={**entry.body, "n": total}, expires_at=entry.expires_at)
        case _:
            return Conflict
    forget(model, now)
    return None


def forget(model: Model, now: float) -> None:
    for name in [name for name, entry in model.items() if entry.expires_at is not None and entry.expires_at <= now]:
        del model[name]


class StoreMachine(RuleBasedStateMachine):
    """Does the same to a store and to a dictionary, in a partition of its own, and compares what they say."""

    def __init__(
        self, *, runner: asyncio.Runner, stores: Sequence[DocumentStore], clock: FakeClock, number: int
    ) -> None:
        super().__init__()
        self.runner = runner
        self.stores = stores
        self.clock = clock
        self.kind = f"kind{number}"
        self.key = DocumentKey(container=Container.TURNS, parts=("tenant", "user", f"{number:024d}"))
        self.model: Model = {}
        self.etags: dict[str, str] = {}
        self.seen: set[str] = set()

    @rule(which=st.integers(0, 1), batch=st.lists(steps, min_size=1, max_size=4))
    def commit(self, which: int, batch: list[Step]) -> None:
        after = dict(self.model)
        failed: tuple[type[GanglionError] | None, str] = (None, "")
        touched: set[str] = set()
        for step in batch:
            error = play(after, step, self.clock.now(), fresh=step.id not in touched)
            touched.add(step.id)
            if error:
                failed = (error, step.id)
                break
        assert self.outcome(which, [self.operation(step) for step in batch]) == failed
        if failed == (None, ""):
            self.model = after
            self.check(touched)
        self.check(set())

    def operation(self, step: Step) -> Operation:
        etag = {STALE: "0", CURRENT: self.etags.get(step.id, "0"), None: None}[step.etag]
        body = {**step.body, "kind": self.kind}
        expires_at = None if step.life is None else self.clock.now() + step.life
        match step.name:
            case "create":
                return Create(id=step.id, body=body, expires_at=expires_at)
            case "replace":
                return Replace(id=step.id, body=body, etag=etag or "", expires_at=expires_at)
            case "delete":
                return Delete(id=step.id, etag=etag)
            case _:
                at_most = {} if step.at_most is None else {"n": step.at_most}
                return Add(id=step.id, amounts={"n": step.body["n"]}, at_most=at_most)

    def outcome(self, which: int, operations: list[Operation]) -> tuple[type[GanglionError] | None, str]:
        try:
            self.runner.run(self.stores[which].commit(self.key, operations))
        except (Conflict, Exhausted) as error:
            return type(error), error.identifier
        return None, ""

    def check(self, touched: set[str]) -> None:
        """Compare every document; etags are new where a batch touched it and as before elsewhere."""
        for identifier in IDS:
            found = self.runner.run(self.stores[0].read(self.key, identifier))
            expected = self.model.get(identifier)
            assert (found and found.body) == (expected and {**expected.body, "kind": self.kind})
            if found and identifier in touched:
                assert found.etag not in self.seen
            elif found:
                assert found.etag == self.etags[identifier]
            if found:
                self.seen.add(found.etag)
                self.etags[identifier] = found.etag

    @precondition(lambda self: self.model)
    @rule(seconds=st.integers(0, 3))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)
        forget(self.model, self.clock.now())
        self.check(set())

    @rule(
        which=st.integers(0, 1), prefix=st.sampled_from(["", "a", "a_", "a_1", "c"]), after=st.sampled_from(["", *IDS])
    )
    def list(self, which: int, prefix: str, after: str) -> None:
        found = self.runner.run(self.stores[which].list(self.key, prefix=prefix, after=after, limit=3))
        expected = sorted(name for name in self.model if name.startswith(prefix) and name > after)[:3]
        assert [(one.id, one.body["n"], one.etag) for one in found] == [
            (name, self.model[name].body["n"], self.etags[name]) for name in expected
        ]

    @rule(which=st.integers(0, 1), status=st.sampled_from("xy"), before=numbers)
    def find(self, which: int, status: str, before: int) -> None:
        store = self.stores[which]
        found = self.runner.run(store.find(Container.TURNS, kind=self.kind, status=status, before=before))
        expected = {
            (entry.body["at"], name)
            for name, entry in self.model.items()
            if entry.body.get("status") == status and entry.body.get("at", before) < before
        }
        listed = [(one.document.body["at"], one.document.id) for one in found]
        assert set(listed) == expected
        assert [at for at, _ in listed] == sorted(at for at, _ in expected)


def run_machine(adapter: str, folder: Path, examples: int) -> None:
    clock = FakeClock()
    make = ADAPTERS[adapter](folder)
    stores = make(clock), make(clock)
    partitions = count()

    class Machine(StoreMachine):
        def __init__(self) -> None:
            super().__init__(runner=runner, stores=stores, clock=clock, number=next(partitions))

    with asyncio.Runner() as runner:
        try:
            run_state_machine_as_test(Machine, settings=profile(examples))
        finally:
            for store in stores:
                runner.run(store.close())


def examples(campaign: str, adapter: str) -> int:
    return round(EXAMPLES[campaign] * DEAR.get(adapter, 1))


def profile(examples: int) -> settings:
    unhurried = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(
        max_examples=examples, stateful_step_count=30, deadline=None, database=None, suppress_health_check=unhurried
    )


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_store_agrees_with_a_dictionary(adapter: str, tmp_path: Path) -> None:
    run_machine(adapter, tmp_path, examples("normal", adapter))


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_store_agrees_with_a_dictionary_for_long(adapter: str, tmp_path: Path) -> None:
    run_machine(adapter, tmp_path, examples("long", adapter))
