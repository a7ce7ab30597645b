"""Does everybody find exactly what is his, whatever several owners do in whatever order?"""

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

EXAMPLES = {"normal": 25, "long": 400}

people = st.sampled_from(list(OWNERS))


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that was made: of whom, and by which id."""

    kind: str
    id: str
    of: str


WAYS: dict[str, tuple[tuple[str, str], ...]] = {
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
    """A town in which several owners do what they like, and what should be there after it."""

    responses = Bundle("responses")
    conversations = Bundle("conversations")
    chats = Bundle("chats")

    def __init__(self) -> None:
        super().__init__()
        clock = FakeClock()
        self.loop = asyncio.new_event_loop()
        self.api, self.watched = watched_api(MemoryStore(clock), clock)
        self.there: set[Thing] = set()
        self.asker = ""

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    async def told(self, asker: str, probe: Probe) -> tuple[int, Any, Json]:
        """Return the status, the body without its ids, and the body; what was started has ended."""
        headers = {"authorization": f"Bearer {asker}"}
        answer = await self.api.http.request(probe.method, probe.path, json=probe.body, headers=headers)
        await self.api.orchestrations.ended()
        self.asker = asker
        for name, secret in SECRETS.items():
            assert name == asker or secret not in answer.text
        return *probe.shown(answer), answer.json()

    def ask(self, asker: str, thing: Thing, probe: Probe) -> Json | None:
        """Ask for a thing; where it is not the asker's any more, or never was, it is as unknown as nobody's."""
        status, body, whole = self.run(self.told(asker, probe))
        if thing.of == asker and thing in self.there:
            assert status != 404, probe
            return whole if status == 200 else None
        nobodys = self.run(self.told(asker, probe.twin({"": thing.id})))
        assert (status, body) == nobodys[:2], probe
        assert status in {400, 404}, probe
        return None

    def made(self, asker: str, path: str, body: Json) -> Json:
        status, _, whole = self.run(self.told(asker, Probe(route="", method="POST", path=path, body=body)))
        assert status == 200, whole
        return whole

    def keep(self, kind: str, whole: Json, of: str) -> Thing:
        thing = Thing(kind, whole["id"], of)
        self.there.add(thing)
        return thing

    @rule(target=responses, asker=people)
    def ask_afresh(self, asker: str) -> Thing:
        return self.keep("response", self.made(asker, "/v1/responses", {"input": SECRETS[asker]}), asker)

    @rule(target=conversations, asker=people)
    def begin_a_conversation(self, asker: str) -> Thing:
        body: Json = {"items": [{"role": "user", "content": SECRETS[asker]}]}
        return self.keep("conversation", self.made(asker, "/v1/conversations", body), asker)

    @rule(target=chats, asker=people)
    def chat(self, asker: str) -> Thing:
        said = [{"role": "user", "content": SECRETS[asker]}]
        body: Json = {"model": "auto", "store": True, "messages": said}
        return self.keep("chat", self.made(asker, "/v1/chat/completions", body), asker)

    @rule(target=responses, asker=people, before=responses)
    def go_on(self, asker: str, before: Thing) -> Any:
        return self.answered(asker, before, {"input": SECRETS[asker], "previous_response_id": before.id})

    @rule(target=responses, asker=people, talk=conversations)
    def say_more(self, asker: str, talk: Thing) -> Any:
        return self.answered(asker, talk, {"input": SECRETS[asker], "conversation": talk.id})

    def answered(self, asker: str, thing: Thing, body: Json) -> Any:
        whole = self.ask(asker, thing, Probe(route="", method="POST", path="/v1/responses", body=body))
        return self.keep("response", whole, asker) if whole else cast("Any", multiple())

    @rule(asker=people, thing=st.one_of(responses, conversations, chats), data=st.data())
    def use(self, asker: str, thing: Thing, data: st.DataObject) -> None:
        method, path = data.draw(st.sampled_from(WAYS[thing.kind]))
        whole = self.ask(asker, thing, Probe(route="", method=method, path=path.format(thing.id)))
        if method == "DELETE" and whole:
            self.there -= {each for each in self.there if goes_with(each, thing)}

    @rule(asker=people, before=responses)
    def refer(self, asker: str, before: Thing) -> None:
        item = before.id.replace("resp_", "msg_")
        body: Json = {"input": reference(item)}
        status, *_ = self.run(self.told(asker, Probe(route="", method="POST", path="/v1/responses", body=body)))
        assert status == 404

    @rule(asker=people)
    def list_chats(self, asker: str) -> None:
        probe = Probe(route="", method="GET", path="/v1/chat/completions?limit=100")
        *_, whole = self.run(self.told(asker, probe))
        assert {each["id"] for each in whole["data"]} == {
            each.id for each in self.there if each.kind == "chat" and each.of == asker
        }

    @invariant()
    def nobody_looks_beside_his_own(self) -> None:
        for key in self.watched.touched:
            assert key is not None
            assert is_own(key.container, key.parts, OWNERS[self.asker])
        self.watched.touched.clear()

    def teardown(self) -> None:
        self.run(self.api.http.aclose())
        self.loop.close()


def goes_with(each: Thing, deleted: Thing) -> bool:
    """Tell whether a deletion takes this: a conversation goes with all of its thread."""
    same_thread = thread_of(each.id) == thread_of(deleted.id) and each.kind != "chat"
    return each == deleted or (deleted.kind == "conversation" and each.of == deleted.of and same_thread)


EFFORTS = ["normal", pytest.param("long", marks=[pytest.mark.campaign, pytest.mark.long, pytest.mark.timeout(900)])]


@pytest.mark.parametrize("effort", EFFORTS)
def test_everybody_finds_what_is_his_and_nothing_else(effort: str) -> None:
    make: Callable[[], RuleBasedStateMachine] = Histories
    unhurried = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
    run_state_machine_as_test(
        make,
        settings=settings(
            max_examples=EXAMPLES[effort],
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=unhurried,
        ),
    )
