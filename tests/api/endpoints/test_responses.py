"""Do the endpoints of responses return what the official SDKs expect?"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from domain.log.events import ResponseStatus
from tests.api.harness import ANSWER, Api, api, events_of
from tests.fakes.backends import FakeBackend, rejects, says
from tests.fakes.worlds import OWNER

BODY = {"input": "hi", "model": "model"}

BAD_BODIES: dict[str, tuple[bytes, int, str | None]] = {
    "empty": (b"", 400, None),
    "not JSON": (b"hello", 400, None),
    "not an object": (b"[]", 400, None),
    "20 MB": (b'{"input": "' + b"x" * 20_000_000 + b'"}', 413, None),
    "nested 100,000 deep": (b'{"input":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "input" + "[0]" * 63),
    "NaN": (b'{"input": "hi", "temperature": NaN}', 400, "temperature"),
    "a name twice": (b'{"input": "hi", "input": "ho"}', 400, "input"),
    "a class": (b'{"input": "hi", "metadata": {"__class__": "x"}}', 400, "metadata.__class__"),
    "no items": (b'{"input": []}', 400, "input"),
    "input of a wrong type": (b'{"input": 1}', 400, "input"),
    "stream of a wrong type": (b'{"input": "hi", "stream": "yes"}', 400, "stream"),
    "an unknown model": (b'{"input": "hi", "model": "gpt-9"}', 400, "model"),
    "an unknown backend": (b'{"input": "hi", "model": "model@nowhere"}', 400, "model"),
    "an unknown tier": (b'{"input": "hi", "metadata": {"tier": "best"}}', 400, "metadata.tier"),
    "a tool of another kind": (b'{"input": "hi", "tools": [{"type": "functions"}]}', 400, "tools[0].type"),
    "an unknown predecessor": (b'{"input": "hi", "previous_response_id": "resp_1"}', 400, "previous_response_id"),
}


def background(**fields: Any) -> dict[str, Any]:
    return {**BODY, "background": True, **fields}


async def queued_response(**fields: Any) -> tuple[Api, str]:
    """Return an API and the id of an admitted background response that does not start."""
    one = api()
    one.orchestrations.hold = True
    created = await one.create(background(**fields))
    return one, created.json()["id"]


def error_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["x-request-id"].startswith("req_")
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(("raw", "status", "param"), BAD_BODIES.values(), ids=BAD_BODIES)
async def test_an_invalid_body_is_rejected_and_nothing_is_stored(raw: bytes, status: int, param: str | None) -> None:
    one = api()
    answer = await one.http.post("/v1/responses", content=raw)
    assert answer.status_code == status
    assert error_of(answer)["param"] == param
    assert await one.stored() <= {"limits"}
    assert one.orchestrations.started == []


async def test_a_body_without_a_length_is_cut_off_at_the_limit() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 1000:
            sent += 1
            await asyncio.sleep(0)
            yield b"x" * 1024

    answer = await api(input_limit=4096).http.post("/v1/responses", content=endless())
    assert answer.status_code == 413
    assert sent == 5
    assert error_of(answer)["code"] == "request_too_large"
    assert answer.headers["x-should-retry"] == "false"


async def test_a_body_of_exactly_the_limit_is_accepted() -> None:
    body = b'{"input": "hi"}'
    for room, status in ((len(body), 200), (len(body) - 1, 413)):
        assert (await api(input_limit=room).http.post("/v1/responses", content=body)).status_code == status


async def test_a_turn_that_fits_no_backend_is_rejected_with_each_backends_reason() -> None:
    one = api(FakeBackend(says("a")), FakeBackend(says("b")))
    answer = await one.create({**BODY, "max_output_tokens": 3000})
    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (400, "invalid_value")
    assert "main: the answer may have " in error["message"]
    assert "spare: the answer may have " in error["message"]
    assert one.orchestrations.started == []
    assert await one.stored() <= {"claim", "limits", "thread"}


LONG = "word " * 30_000


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("responses", {"input": LONG}, "input"),
        ("responses", {"input": "hi", "instructions": LONG}, "input"),
        ("responses", {"input": [{"role": "user", "content": "hi"}] * 400}, "input"),
        ("responses", {"input": LONG, "truncation": "disabled"}, "input"),
        ("chat/completions", {"messages": [{"role": "user", "content": LONG}]}, "messages"),
        ("responses/compact", {"input": LONG}, "input"),
    ],
)
async def test_an_input_that_only_the_window_stands_against_is_too_long(
    path: str, body: dict[str, Any], param: str
) -> None:
    one = api()
    answer = await one.http.post(f"/v1/{path}", json={"model": "auto", **body})
    error = error_of(answer)
    assert (answer.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", param)
    assert "estimated" in error["message"]
    assert one.orchestrations.started == []


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("responses", {"input": "hi", "max_output_tokens": 4000}, "max_output_tokens"),
        ("responses", {"input": "hi", "max_output_tokens": 10_000_000}, "max_output_tokens"),
        ("chat/completions", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2049}, "max_tokens"),
        (
            "chat/completions",
            {"messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 9999},
            "max_completion_tokens",
        ),
    ],
)
async def test_a_limit_that_no_backend_can_write_is_rejected_by_its_name(
    path: str, body: dict[str, Any], param: str
) -> None:
    one = api()
    answer = await one.http.post(f"/v1/{path}", json={"model": "auto", **body})
    error = error_of(answer)
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_value", param)
    assert f"{body[param]:,} tokens" in error["message"]
    assert one.orchestrations.started == []


async def test_an_input_that_fits_after_the_oldest_turns_were_left_out_is_not_too_long() -> None:
    one = api()
    first = (await one.create({**BODY, "input": "word " * 1200})).json()
    assert (await one.create({**BODY, "input": "word " * 1200, "previous_response_id": first["id"]})).status_code == 200


async def test_a_synchronous_call_is_answered_when_the_turn_has_ended() -> None:
    answer = await api().create({**BODY, "user": "me"})
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "completed")
    assert body["output"][0]["content"][0]["text"] == ANSWER
    assert answer.headers["x-ganglion-ignored"] == "user"
    assert answer.headers["x-request-id"].startswith("req_")


async def test_a_synchronous_call_that_takes_too_long_returns_the_response_so_far() -> None:
    one = api(sync_wait_s=200)
    one.orchestrations.hold = True
    call = asyncio.create_task(one.create(BODY))
    await one.orchestrations.asked.wait()
    one.world.clock.advance(201)
    answer = await call
    assert (answer.status_code, answer.json()["status"]) == (200, "in_progress")


async def test_a_failed_turn_has_its_error_in_the_response() -> None:
    one = api(FakeBackend(rejects(400)))
    body = (await one.create(BODY)).json()
    assert body["status"] == "failed"
    assert body["error"]["code"] == "invalid_prompt"
    assert body["error"]["message"]


async def test_a_background_call_is_answered_at_once_and_can_be_polled() -> None:
    one, name = await queued_response()
    first = (await one.http.get(f"/v1/responses/{name}")).json()
    assert (first["status"], first["background"], first["output"]) == ("queued", True, [])
    await one.world.run(await one.world.turns.read(OWNER, name))
    last = (await one.http.get(f"/v1/responses/{name}")).json()
    assert (last["status"], last["output"][0]["content"][0]["text"]) == ("completed", ANSWER)


async def test_a_poll_of_a_running_turn_returns_the_text_so_far() -> None:
    gate = asyncio.Event()
    begin, end = says("one two")[:1], says("one two")[1:]
    one = api(FakeBackend([*begin, gate, *end]))
    name = (await one.create(background())).json()["id"]
    body: dict[str, Any] = {"output": []}
    while not body["output"]:
        body = (await one.http.get(f"/v1/responses/{name}")).json()
    assert (body["status"], body["output"][0]["status"]) == ("in_progress", "in_progress")
    assert body["output"][0]["content"][0]["text"] == "one"
    gate.set()
    await one.orchestrations.ended()
    body = (await one.http.get(f"/v1/responses/{name}")).json()
    assert (body["status"], body["output"][0]["content"][0]["text"]) == ("completed", "one two")


@pytest.mark.parametrize("in_background", [True, False])
async def test_a_stream_ends_with_the_object_that_a_poll_returns(in_background: bool) -> None:  # noqa: FBT001 - parametrized
    one = api()
    stream = await one.create({**BODY, "stream": True, "background": in_background})
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["x-request-id"]
    assert stream.text.startswith(": keep-alive\n\n")
    bodies = events_of(stream.text)
    assert [body["sequence_number"] for body in bodies] == list(range(len(bodies)))
    final = bodies[-1]["response"]
    assert final == (await one.http.get(f"/v1/responses/{final['id']}")).json()
    assert final["status"] == "completed"


async def test_a_stream_resumed_anywhere_continues_byte_for_byte() -> None:
    one = api(FakeBackend(says("one two three four five")))
    whole = (await one.create(background(stream=True))).text
    blocks = whole.removeprefix(": keep-alive\n\n").split("\n\n")
    name = events_of(whole)[0]["response"]["id"]
    count = len(events_of(whole))
    assert count > 8
    replay = await one.http.get(f"/v1/responses/{name}?stream=true")
    assert replay.text == whole
    for number in range(count):
        rest = await one.http.get(f"/v1/responses/{name}?stream=true&starting_after={number}")
        assert rest.text == ": keep-alive\n\n" + "\n\n".join(blocks[number + 1 :])


async def test_a_stream_resumed_after_its_end_is_empty() -> None:
    one = api()
    name = (await one.create(BODY)).json()["id"]
    rest = await one.http.get(f"/v1/responses/{name}?stream=true&starting_after=999")
    assert rest.text == ": keep-alive\n\ndata: [DONE]\n\n"


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("stream=true&starting_after=-1", "starting_after"),
        ("stream=true&starting_after=x", "starting_after"),
        ("stream=true&starting_after=", "starting_after"),
        ("stream=true&starting_after=1.5", "starting_after"),
        ("stream=true&starting_after=" + "9" * 400, "starting_after"),
        ("stream=true&starting_after=٣", "starting_after"),
        ("stream=perhaps", "stream"),
    ],
)
async def test_an_invalid_query_parameter_is_named(query: str, param: str) -> None:
    one, name = await queued_response()
    answer = await one.http.get(f"/v1/responses/{name}?{query}")
    assert (answer.status_code, error_of(answer)["param"]) == (400, param)


@pytest.mark.parametrize("path", ["", "?stream=true", "/route"])
async def test_a_response_of_another_owner_is_not_found(path: str) -> None:
    one, name = await queued_response()
    for identifier, token in ((name, "strange"), ("resp_1", "mine"), ("resp_" + "0" * 48, "mine"), ("%2e%2e", "mine")):
        answer = await one.http.get(f"/v1/responses/{identifier}{path}", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 404
        assert error_of(answer)["type"] == "invalid_request_error"


async def cancelled(one: Api, name: str, **headers: str) -> httpx.Response:
    return await one.http.post(f"/v1/responses/{name}/cancel", headers=headers)


async def test_a_cancelled_response_stays_cancelled() -> None:
    one, name = await queued_response()
    first = await cancelled(one, name)
    assert (first.status_code, first.json()["status"]) == (200, "cancelled")
    assert one.orchestrations.cancelled == [name]
    again = await cancelled(one, name)
    assert (again.status_code, again.json()) == (200, first.json())
    assert (await one.http.get(f"/v1/responses/{name}")).json() == first.json()


async def test_a_response_cancelled_while_it_runs_gets_no_more_text() -> None:
    gate = asyncio.Event()
    one = api(FakeBackend([*says("one two")[:1], gate, *says("one two")[1:]]))
    name = (await one.create(background())).json()["id"]
    body: dict[str, Any] = {"output": []}
    while not body["output"]:
        body = (await one.http.get(f"/v1/responses/{name}")).json()
    stopped = (await cancelled(one, name)).json()
    gate.set()
    await one.orchestrations.ended()
    assert stopped["output"][0]["status"] == "incomplete"
    assert (await one.http.get(f"/v1/responses/{name}")).json() == stopped
    stream = events_of((await one.http.get(f"/v1/responses/{name}?stream=true")).text)
    assert (stream[-1]["type"], stream[-1]["response"]) == ("response.failed", stopped)


async def test_a_foreground_response_can_be_cancelled_while_it_runs() -> None:
    one = api(FakeBackend([asyncio.Event(), *says(ANSWER)]))
    waiting = asyncio.create_task(one.create(BODY))
    await one.orchestrations.asked.wait()
    name = one.orchestrations.started[0]
    assert (await cancelled(one, name)).json()["status"] == "cancelled"
    answer = (await waiting).json()
    assert (answer["id"], answer["status"]) == (name, "cancelled")
    again = await cancelled(one, name)
    assert again.json() == answer


async def test_a_completed_response_cannot_be_cancelled() -> None:
    one, name = await queued_response()
    await one.world.run(await one.world.turns.read(OWNER, name))
    answer = await cancelled(one, name)
    assert (answer.status_code, error_of(answer)["code"]) == (400, "not_cancellable")
    assert (await one.world.turns.read(OWNER, name)).status is ResponseStatus.COMPLETED
    assert one.orchestrations.cancelled == []


async def test_another_owner_cannot_cancel_a_response() -> None:
    one, name = await queued_response()
    assert (await cancelled(one, name, authorization="Bearer strange")).status_code == 404
    assert (await one.world.turns.read(OWNER, name)).status is ResponseStatus.QUEUED


CALLS = [
    ("POST", "/v1/responses"),
    ("GET", "/v1/responses/resp_1"),
    ("GET", "/v1/responses/resp_1/route"),
    ("POST", "/v1/responses/resp_1/cancel"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/auto"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "token", [None, "", "Bearer", "Bearer ", "Basic bWluZQ==", "Bearer mine extra", "Bearer other"]
)
async def test_a_request_without_a_valid_token_is_rejected(method: str, path: str, token: str | None) -> None:
    one = api()
    one.http.headers.pop("authorization")
    headers = {} if token is None else {"authorization": token}
    answer = await one.http.request(method, path, headers=headers, json={"input": "hi"} if method == "POST" else None)
    assert answer.status_code == 401
    assert error_of(answer)["code"] == "invalid_api_key"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert await one.stored() == set()


async def test_two_tokens_are_rejected() -> None:
    one = api()
    headers = [("authorization", "Bearer mine"), ("authorization", "Bearer strange")]
    one.http.headers.pop("authorization")
    assert (await one.http.get("/v1/models", headers=headers)).status_code == 401


async def test_platform_headers_are_not_trusted_without_the_platform() -> None:
    one = api()
    one.http.headers.pop("authorization")
    headers = {"x-ms-client-principal-id": OWNER.subject, "x-ms-client-principal": "e30="}
    assert (await one.http.get("/v1/models", headers=headers)).status_code == 401


async def test_the_model_can_be_made_required() -> None:
    one = api(model_required=True)
    rejected = await one.create({"input": "hi"})
    assert (rejected.status_code, rejected.json()["error"]["param"]) == (400, "model")
    assert (await one.create({"input": "hi", "model": "auto"})).status_code == 200
    chat = await one.http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}]})
    assert chat.status_code == 400


@pytest.mark.parametrize(("asked", "shown"), [({}, "auto"), ({"truncation": "disabled"}, "disabled")])
async def test_a_response_returns_its_truncation(asked: dict[str, str], shown: str) -> None:
    one = api()
    made = (await one.create({"input": "hi", **asked})).json()
    assert made["truncation"] == shown
    assert (await one.http.get(f"/v1/responses/{made['id']}")).json()["truncation"] == shown
