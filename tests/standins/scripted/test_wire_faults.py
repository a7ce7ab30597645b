"""Does the scripted model show each fault on the wire?"""

import time

import httpx
import pytest

from tests.standins.conftest import Opener, answer_text, chat_body, last_ended_request
from tests.standins.sse import bodies_of

MIDWAY = "1 2 3 4 5"


async def read_until_error(model: httpx.AsyncClient, text: str, *, timeout_s: float = 5) -> tuple[str, str]:
    """Gives what came of a stream and the name of the error that ended it, "" for a clean end."""
    got: list[str] = []
    asked = chat_body(text, stream=True)
    try:
        async with model.stream("POST", "/v1/chat/completions", json=asked, timeout=timeout_s) as answer:
            async for part in answer.aiter_text():
                got.append(part)  # noqa: PERF401 - what came before the error is kept
    except httpx.TransportError as error:
        return "".join(got), type(error).__name__
    return "".join(got), ""


@pytest.mark.parametrize("stream", [True, False])
async def test_refuse_closes_before_any_byte(model: httpx.AsyncClient, stream: bool) -> None:  # noqa: FBT001 - a table's column
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await model.post("/v1/chat/completions", json=chat_body("FAIL refuse", stream=stream))


@pytest.mark.parametrize(("kind", "status"), [("429", 429), ("500", 500), ("503", 503)])
async def test_a_status_comes_with_an_error_body(model: httpx.AsyncClient, kind: str, status: int) -> None:
    answer = await model.post("/v1/chat/completions", json=chat_body(f"FAIL {kind}"))
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == status
    assert answer.headers.get("retry-after") == ("1" if kind == "429" else None)


async def test_hang_before_sends_no_headers(model: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await model.post("/v1/chat/completions", json=chat_body("FAIL hang-before"), timeout=0.3)
    assert (await last_ended_request(model))["how"] == "client-closed"


@pytest.mark.parametrize("stream", [True, False])
async def test_hang_after_sends_headers_then_nothing(model: httpx.AsyncClient, stream: bool) -> None:  # noqa: FBT001 - a table's column
    asked = chat_body("FAIL hang-after", stream=stream)
    async with model.stream("POST", "/v1/chat/completions", json=asked, timeout=0.3) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.ReadTimeout):
            await answer.aread()
    assert (await last_ended_request(model))["tokens"] == 0


async def test_drip_sends_a_byte_now_and_then(model: httpx.AsyncClient) -> None:
    started = time.monotonic()
    asked = chat_body("FAIL drip COUNT 3", stream=True)
    async with model.stream("POST", "/v1/chat/completions", json=asked) as answer:
        parts = answer.aiter_bytes()
        got = [await anext(parts) for _ in range(4)]
    assert b"".join(got) == b"data"
    assert time.monotonic() - started > 0.5


async def test_stall_sends_the_tokens_before_it_and_keeps_the_connection_open(model: httpx.AsyncClient) -> None:
    text, error = await read_until_error(model, "FAIL stall @2 COUNT 10", timeout_s=1)
    assert error == "ReadTimeout"
    assert '"content": " 2"' in text
    assert '"content": " 3"' not in text


async def test_reset_breaks_the_stream_half_way(open_model: Opener) -> None:
    model = await open_model(rate=200)
    text, error = await read_until_error(model, "FAIL reset COUNT 10")
    assert error == "ReadError"
    assert '"content": " 5"' in text
    assert '"content": " 6"' not in text
    assert ((await last_ended_request(model))["how"], (await last_ended_request(model))["tokens"]) == ("failed", 5)


async def test_a_failure_comes_after_the_requested_number_of_tokens(open_model: Opener) -> None:
    model = await open_model(rate=200)
    text, _ = await read_until_error(model, "FAIL reset @2 COUNT 10")
    assert '"content": " 2"' in text
    assert '"content": " 3"' not in text


async def test_half_a_frame_ends_the_stream_without_an_error(model: httpx.AsyncClient) -> None:
    text, error = await read_until_error(model, "FAIL half-frame COUNT 10")
    whole, _, half = text.rpartition("\n\n")
    assert error == ""
    assert '"content": " 5"' in whole
    assert half.startswith("data: {")
    assert not half.endswith("}")


async def test_without_a_stream_half_a_body_comes_before_the_reset(open_model: Opener) -> None:
    model = await open_model(rate=200)
    with pytest.raises(httpx.ReadError):
        await model.post("/v1/chat/completions", json=chat_body("FAIL reset COUNT 10"))


async def test_content_type_answers_with_a_page(model: httpx.AsyncClient) -> None:
    answer = await model.post("/v1/chat/completions", json=chat_body("FAIL content-type", stream=True))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_counted_failure_ends_and_the_command_runs(model: httpx.AsyncClient) -> None:
    asked = chat_body("FAIL 503 x2 COUNT 5")
    statuses = [(await model.post("/v1/chat/completions", json=asked)).status_code for _ in range(3)]
    assert statuses == [503, 503, 200]
    assert await answer_text(model, "FAIL 503 x2 COUNT 5") == MIDWAY


async def test_another_conversation_has_its_own_count(model: httpx.AsyncClient) -> None:
    first = {"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "FAIL 500 x1 COUNT 5"}]}
    other = {"messages": [{"role": "system", "content": "b"}, {"role": "user", "content": "FAIL 500 x1 COUNT 5"}]}
    statuses = [(await model.post("/v1/chat/completions", json=body)).status_code for body in (first, other, first)]
    assert statuses == [500, 500, 200]


async def test_a_partial_answer_counts_for_the_same_conversation(model: httpx.AsyncClient) -> None:
    asked = chat_body("FAIL 503 x1 COUNT 5")
    assert (await model.post("/v1/chat/completions", json=asked)).status_code == 503
    assert await answer_text(model, "FAIL 503 x1 COUNT 5", partial="1 2") == " 3 4 5"


async def test_a_counted_failure_without_a_command_ends_with_filler(model: httpx.AsyncClient) -> None:
    await model.post("/v1/chat/completions", json=chat_body("FAIL 503 x1"))
    answer = await model.post("/v1/chat/completions", json=chat_body("FAIL 503 x1", stream=True, max_tokens=3))
    assert len(bodies_of(answer.text)) == 5
