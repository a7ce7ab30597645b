"""Does every owner find exactly his own objects after any sequence of operations of several owners?"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from domain.ids import thread_of
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.isolation.people import OWNERS, SECRETS
from tests.isolation.probes import Json, Probe, reference
from tests.isolation.watching import is_own, watched_api

pytestmark = pytest.mark.slow

EXAMPLES = {"normal": 25, "long": 400}

people = st.sampled_from(list(OWNERS))


@dataclass(frozen=True, slots=True)
class OwnedObject:
    """An object, its kind, its id and its owner."""

    kind: str
    id: str
    owner: str


OPERATIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "response": (
        ("GET", "/v1/responses/{}"),
        ("GET", "/v1/responses/{}/route"),
        ("GET", "/v1/responses/{}/input_items"),
        ("POST", "/v1/responses/{}/cancel"),
        ("DELETE", "/v1/responses/{}"),
    ),
    "conversation": (
        ("GET", "/v1/conversations/{}"),
        ("GET", "/v1/conversations/{}/items"),
        ("DELETE", "/v1/conversations/{}"),
    ),
    "chat": (
        ("GET", "/v1/chat/completions/{}"),
        ("GET", "/v1/chat/completions/{}/messages"),
        ("DELETE", "/v1/chat/completions/{}"),
    ),
}


class Histories(RuleBasedStateMachine):
    """A deployment in which several owners act, and the objects that should exist."""

    responses = Bundle("responses")
    conversations = Bundle("conversations")
    chats = Bundle("chats")

    def __init__(self) -> None:
        super().__init__()
        clock = FakeClock()
        self.loop = asyncio.new_event_loop()
        self.api, self.watched = watched_api(MemoryStore(clock), clock)
        self.existing: set[OwnedObject] = set()
        self.caller = ""

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    async def send(self, caller: str, probe: Probe) -> tuple[int, Any, Json]:
        """Return the status, the body without ids, and the body, after all started turns have ended."""
        headers = {"authorization": f"Bearer {caller}"}
        answer = await self.api.http.request(probe.method, probe.path, json=probe.body, headers=headers)
        await self.api.orchestrations.ended()
        self.caller = caller
        for name, secret in SECRETS.items():
            assert name == caller or secret not in answer.text
        return *probe.outcome(answer), answer.json()

    def request(self, caller: str, owned: OwnedObject, probe: Probe) -> Json | None:
        """Request an object; where the caller does not own it (any more), the answer is that of an unknown id."""
        status, body, whole = self.run(self.send(caller, probe))
        if owned.owner == caller and owned in self.existing:
            assert status != 404, probe
            return whole if status == 200 else None
        unknown = self.run(self.send(caller, probe.twin({"": owned.id})))
        assert (status, body) == unknown[:2], probe
        assert status in {400, 404}, probe
        return None

    def create(self, caller: str, path: str, body: Json) -> Json:
        status, _, whole = self.run(self.send(caller, Probe(route="", method="POST", path=path, body=body)))
        assert status == 200, whole
        return whole

    def keep(self, kind: str, whole: Json, of: str) -> OwnedObject:
        owned = OwnedObject(kind, whole["id"], of)
        self.existing.add(owned)
        return owned

    @rule(target=responses, caller=people)
    def create_response(self, caller: str) -> OwnedObject:
        return self.keep("response", self.create(caller, "/v1/responses", {"input": SECRETS[caller]}), caller)

    @rule(target=conversations, caller=people)
    def create_conversation(self, caller: str) -> OwnedObject:
        body: Json = {"items": [{"role": "user", "content": SECRETS[caller]}]}
        return self.keep("conversation", self.create(caller, "/v1/conversations", body), caller)

    @rule(target=chats, caller=people)
    def chat(self, caller: str) -> OwnedObject:
        said = [{"role": "user", "content": SECRETS[caller]}]
        body: Json = {"model": "auto", "store": True, "messages": said}
        return self.keep("chat", self.create(caller, "/v1/chat/completions", body), caller)

    @rule(target=responses, caller=people, previous=responses)
    def continue_response(self, caller: str, previous: OwnedObject) -> Any:
        return self.create_turn(caller, previous, {"input": SECRETS[caller], "previous_response_id": previous.id})

    @rule(target=responses, caller=people, conversation=conversations)
    def continue_conversation(self, caller: str, conversation: OwnedObject) -> Any:
        return self.create_turn(caller, conversation, {"input": SECRETS[caller], "conversation": conversation.id})

    def create_turn(self, caller: str, owned: OwnedObject, body: Json) -> Any:
        whole = self.request(caller, owned, Probe(route="", method="POST", path="/v1/responses", body=body))
        return self.keep("response", whole, caller) if whole else cast("Any", multiple())

    @rule(caller=people, owned=st.one_of(responses, conversations, chats), data=st.data())
    def use(self, caller: str, owned: OwnedObject, data: st.DataObject) -> None:
        method, path = data.draw(st.sampled_from(OPERATIONS[owned.kind]))
        whole = self.request(caller, owned, Probe(route="", method=method, path=path.format(owned.id)))
        if method == "DELETE" and whole:
            self.existing -= {each for each in self.existing if is_deleted_with(each, owned)}

    @rule(caller=people, previous=responses)
    def reference_item(self, caller: str, previous: OwnedObject) -> None:
        item = previous.id.replace("resp_", "msg_")
        body: Json = {"input": reference(item)}
        status, *_ = self.run(self.send(caller, Probe(route="", method="POST", path="/v1/responses", body=body)))
        assert status == 404

    @rule(caller=people)
    def list_chats(self, caller: str) -> None:
        probe = Probe(route="", method="GET", path="/v1/chat/completions?limit=100")
        *_, whole = self.run(self.send(caller, probe))
        assert {each["id"] for each in whole["data"]} == {
            each.id for each in self.existing if each.kind == "chat" and each.owner == caller
        }

    @invariant()
    def only_own_partitions_are_touched(self) -> None:
        for key in self.watched.touched:
            assert key is not None
            assert is_own(key.container, key.parts, OWNERS[self.caller])
        self.watched.touched.clear()

    def teardown(self) -> None:
        self.run(self.api.http.aclose())
        self.loop.close()


def is_deleted_with(each: OwnedObject, deleted: OwnedObject) -> bool:
    """Return whether a deletion deletes this too: a conversation is deleted with all of its thread."""
    same_thread = thread_of(each.id) == thread_of(deleted.id) and each.kind != "chat"
    return each == deleted or (deleted.kind == "conversation" and each.owner == deleted.owner and same_thread)


EFFORTS = ["normal", pytest.param("long", marks=[pytest.mark.campaign, pytest.mark.long, pytest.mark.timeout(900)])]


@pytest.mark.parametrize("effort", EFFORTS)
def test_every_owner_finds_his_own_objects_and_no_others(effort: str) -> None:
    make: Callable[[], RuleBasedStateMachine] = Histories
    suppressed = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
    run_state_machine_as_test(
        make,
        settings=settings(
            max_examples=EXAMPLES[effort],
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=suppressed,
        ),
    )
