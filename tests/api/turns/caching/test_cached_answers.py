"""Is an answer taken over only by turns that ask the same, and does it cost no call of a model?"""

import asyncio
from copy import replace
from typing import Any

import pytest

from activities.maintenance.sweep import SweepDelays
from clients.backends.port import AnswerEnd, BackendCall, TextPiece
from domain.errors import Unavailable
from domain.fleet.catalog import LogprobsMode
from domain.log.events import TokenUsage
from domain.log.token_logprobs import TokenLogprob, TokenOption
from domain.turns.response import Response
from tests.api.harness import Api, api, events_of
from tests.fakes.backends import FakeBackend, says
from tests.fakes.worlds import OWNER, backend

ANSWER = "four and twenty blackbirds"
BODY: dict[str, Any] = {"model": "model", "input": "sing", "temperature": 0, "metadata": {"cache_s": "60"}}


async def ask(one: Api, **changes: Any) -> tuple[str | None, dict[str, Any]]:
    """Return the cache header of an answer, and the answer."""
    answer = await one.create({**BODY, **changes})
    assert answer.status_code == 200, answer.text
    await one.orchestrations.ended()
    return answer.headers.get("x-ganglion-cache"), answer.json()


async def account(one: Api, response: dict[str, Any]) -> dict[str, Any]:
    return (await one.http.get(f"/v1/responses/{response['id']}/route")).json()


def text_of(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] for part in item["content"])


async def test_the_same_request_is_answered_without_a_call() -> None:
    model = FakeBackend(says(ANSWER), says("another answer"))
    one = api(model, cache_s=3600.0)
    (first_header, first), (second_header, second) = await ask(one), await ask(one)
    assert (first_header, second_header, len(model.calls)) == ("miss", "hit", 1)
    assert text_of(first) == text_of(second) == ANSWER
    assert first["id"] != second["id"]
    assert first["output"][0]["id"] != second["output"][0]["id"]
    assert second["usage"]["input_tokens_details"]["cached_tokens"] == second["usage"]["input_tokens"] == 7
    assert second["usage"]["output_tokens"] == first["usage"]["output_tokens"]
    report = await account(one, second)
    assert report["cache"]["response_id"] == first["id"]
    assert report["attempts"] == []
    assert float(report["cost_usd"]) == 0
    assert report["bill"]["status"] == "final"


async def test_an_answer_that_was_taken_over_has_a_whole_log_of_its_own() -> None:
    one = api(cache_s=3600.0)
    await ask(one)
    first = events_of((await one.create({**BODY, "stream": True})).text)
    assert [each["sequence_number"] for each in first] == list(range(len(first)))
    assert first[-1]["type"] == "response.completed"
    assert "".join(each["delta"] for each in first if each["type"] == "response.output_text.delta") == ANSWER
    created = first[0]["response"]["id"]
    again = await one.http.get(f"/v1/responses/{created}?stream=true")
    assert events_of(again.text) == first


@pytest.mark.slow
async def test_an_answer_that_is_too_large_for_one_commit_is_asked_again() -> None:
    option = TokenOption("o" * 1000, -0.1, b"o" * 1000)
    score = TokenLogprob(chosen=TokenOption("so", -0.1, b"so"), options=(option,) * 20)
    large = [TextPiece(text="so", logprobs=(score,))] * 120
    end = AnswerEnd(reason="stop", usage=TokenUsage(input_tokens=7, output_tokens=120))
    model = FakeBackend([*large, end])
    one = api(model, cache_s=3600.0, deployed={"main": replace(backend("main"), logprobs=LogprobsMode.YES)})
    scored: Any = {"include": ["message.output_text.logprobs"], "top_logprobs": 20}
    (_, first), (_, second) = await ask(one, **scored), await ask(one, **scored)
    assert len(first["output"][0]["content"][0]["logprobs"]) == 120
    assert text_of(first) == text_of(second)
    assert len(model.calls) == 2


async def test_a_conversation_goes_on_after_an_answer_that_was_taken_over() -> None:
    model = FakeBackend(says(ANSWER), says("more"))
    one = api(model, cache_s=3600.0)
    await ask(one)
    conversation = (await one.http.post("/v1/conversations", json={})).json()["id"]
    header, _ = await ask(one, conversation=conversation)
    assert header == "hit"
    await ask(one, conversation=conversation, input="and then?", metadata={})
    assert [item.text for item in model.calls[1].items] == ["sing", ANSWER, "and then?"]


@pytest.mark.parametrize(
    "change",
    [
        {"input": "sing louder"},
        {"instructions": "in French"},
        {"max_output_tokens": 100},
        {"top_p": 0.5},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_another_request_is_asked(change: dict[str, Any]) -> None:
    one = api(FakeBackend(says(ANSWER), says("{}")), FakeBackend(says("spare")), cache_s=3600.0)
    await ask(one)
    header, _ = await ask(one, **change)
    assert header == "miss"


async def test_nobody_gets_the_answer_of_another_owner() -> None:
    model = FakeBackend(says(ANSWER))
    one = api(model, cache_s=3600.0)
    await ask(one)
    for token in ("strange", "double", "foreign"):
        answer = await one.create(BODY, authorization=f"Bearer {token}")
        assert answer.headers["x-ganglion-cache"] == "miss"
    assert len(model.calls) == 4


async def test_an_answer_that_is_too_old_is_asked_again() -> None:
    model = FakeBackend(says(ANSWER))
    one = api(model, cache_s=3600.0)
    await ask(one)
    one.world.clock.advance(61)
    header, _ = await ask(one)
    assert (header, len(model.calls)) == ("miss", 2)
    header, _ = await ask(one)
    assert header == "hit"


async def test_an_answer_is_gone_with_the_turn_that_gave_it() -> None:
    one = api(cache_s=3600.0)
    _, first = await ask(one)
    await one.http.delete(f"/v1/responses/{first['id']}")
    header, _ = await ask(one)
    assert header == "miss"


async def test_an_answer_is_gone_with_what_it_has_read() -> None:
    one = api(FakeBackend(says(ANSWER)), cache_s=3600.0)
    _, before = await ask(one, metadata={}, input="I am Ann")
    _, first = await ask(one, previous_response_id=before["id"])
    same = [
        {"role": "user", "content": "I am Ann"},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": "sing"},
    ]
    header, _ = await ask(one, input=same)
    assert header == "hit"
    await one.http.delete(f"/v1/responses/{before['id']}")
    header, _ = await ask(one, input=same)
    assert header == "miss"
    assert (await one.http.get(f"/v1/responses/{first['id']}")).status_code == 200


async def test_an_erased_owner_has_no_cached_answer() -> None:
    one = api(cache_s=3600.0)
    await ask(one)
    assert "cached_answer" in await one.stored()
    erased = await one.http.delete("/v1/owners/me")
    assert erased.status_code < 300, erased.text
    assert "cached_answer" not in await one.stored()


class Watched(FakeBackend):
    """Tells when it is called, and answers when its gate opens."""

    def __init__(self) -> None:
        self.called, self.gate = asyncio.Event(), asyncio.Event()
        super().__init__([self.gate, *says(ANSWER)])

    def stream(self, call: BackendCall) -> Any:
        self.called.set()
        return super().stream(call)


async def test_turns_of_one_key_at_the_same_time_make_one_call() -> None:
    model = Watched()
    one = api(model, cache_s=3600.0)
    one.orchestrations.hold = True
    bodies = [(await one.create({**BODY, "background": True})).json() for _ in range(4)]
    turns = [await one.world.turns.read(OWNER, each["id"]) for each in bodies]
    leader = asyncio.create_task(one.world.run(turns[0]))
    await model.called.wait()
    followers = [asyncio.create_task(one.world.run(each)) for each in turns[1:]]
    for _ in range(50):
        await asyncio.sleep(0)
    model.gate.set()
    await asyncio.gather(leader, *followers)
    ended = [(await one.http.get(f"/v1/responses/{each['id']}")).json() for each in bodies]
    assert [text_of(each) for each in ended] == [ANSWER] * 4
    assert len(model.calls) == 1
    reports = [await account(one, each) for each in ended]
    assert [each["cache"]["response_id"] for each in reports] == [None, *[bodies[0]["id"]] * 3]
    assert {each["bill"]["status"] for each in reports} == {"final"}


async def test_where_the_first_turn_fails_the_next_one_asks() -> None:
    model = FakeBackend(says(ANSWER))
    one = api(model, cache_s=3600.0)
    one.orchestrations.hold = True
    first, second = [
        (await one.create({**BODY, "background": True}, idempotency_key=name)).json() for name in ("one", "two")
    ]
    await one.http.post(f"/v1/responses/{first['id']}/cancel")
    await one.world.run(await one.world.turns.read(OWNER, second["id"]))
    ended = (await one.http.get(f"/v1/responses/{second['id']}")).json()
    assert (ended["status"], text_of(ended), len(model.calls)) == ("completed", ANSWER, 1)


async def test_a_turn_that_died_before_it_took_the_answer_takes_it_when_it_is_swept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = api(cache_s=3600.0)
    _, first = await ask(one)

    async def dies(response: Response) -> Any:
        raise Unavailable(f"{response.id} is lost here")

    with monkeypatch.context() as patched:
        patched.setattr(one.world.app.state.cached_answers, "reuse", dies)
        assert (await one.create(BODY, idempotency_key="again")).status_code == 503
    one.world.clock.advance(31)
    await one.world.sweep(SweepDelays(unbegun_s=30, silent_s=900, unsettled_s=60)).sweep(one.orchestrations)
    await one.orchestrations.ended()
    again = (await one.create(BODY, idempotency_key="again")).json()
    assert (await account(one, again))["cache"]["response_id"] == first["id"]
    assert again["status"] == "completed"


@pytest.mark.parametrize(
    ("cache_s", "change", "word"),
    [
        (0.0, {}, "GANGLION_CACHE_S"),
        (30.0, {}, "GANGLION_CACHE_S"),
        (3600.0, {"temperature": 0.1}, "temperature"),
        (3600.0, {"temperature": None}, "temperature"),
        (3600.0, {"metadata": {"cache_s": "0"}}, "metadata.cache_s"),
        (3600.0, {"metadata": {"cache_s": "1.5"}}, "metadata.cache_s"),
    ],
)
async def test_what_can_not_be_cached_is_refused_by_name(cache_s: float, change: dict[str, Any], word: str) -> None:
    answer = await api(cache_s=cache_s).create({**BODY, **change})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "metadata.cache_s")
    assert word in error["message"]


async def test_a_chat_is_answered_from_the_cache_too() -> None:
    model = FakeBackend(says(ANSWER))
    one = api(model, cache_s=3600.0)
    chat = {
        "model": "model",
        "temperature": 0,
        "metadata": {"cache_s": "60"},
        "messages": [{"role": "user", "content": "sing"}],
    }
    answers = [await one.http.post("/v1/chat/completions", json=chat) for _ in range(2)]
    assert [each.headers["x-ganglion-cache"] for each in answers] == ["miss", "hit"]
    assert [each.json()["choices"][0]["message"]["content"] for each in answers] == [ANSWER] * 2
    assert len(model.calls) == 1
