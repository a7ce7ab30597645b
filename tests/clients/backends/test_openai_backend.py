"""Is an OpenAI-compatible answer read right however its bytes come, and is every failure told as it was seen?"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.backends.openai_backend import OpenAIBackend
from clients.backends.port import AnswerEnd, BackendError, TextPiece, WithdrawableStream
from domain.fleet.catalog import ContinuationMode
from domain.fleet.failure_classes import BODY_CHARACTERS, Failure, FailureKind
from domain.log.events import TokenUsage
from tests.clients.backends.model_server import (
    DONE,
    HANG,
    RESET,
    ModelServer,
    asked,
    backend_at,
    call,
    frame,
    heard,
    line,
    serving,
    text_of,
    usage,
)

WORDS = "naïve 日本語 \u2028 \x85 \x0b 🙂 end"
ANSWER = b": started\n\n" + frame("") + frame(WORDS) + frame(" two") + frame(reason="stop") + usage() + DONE
SHORT = [frame("one"), frame(" two", reason="stop"), usage(), DONE]
WHOLE = [
    TextPiece(text="one"),
    TextPiece(text=" two"),
    AnswerEnd(reason="stop", usage=TokenUsage(input_tokens=7, output_tokens=2)),
]


class Chunks(httpx.AsyncByteStream):
    """A body in the chunks in which it is given."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk


async def read(*chunks: bytes) -> list[TextPiece | AnswerEnd]:
    """Return what is understood of a body that comes in these chunks."""

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Chunks(chunks))

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        return await heard(OpenAIBackend(backend_at("http://model/v1"), http, silence_s=5), call())


async def failure(*acts: bytes | float | object, silence_s: float = 5.0, **server: Any) -> Failure:
    """Return how an exchange with a server that acts so fails."""
    request_timeout_s = server.pop("request_timeout_s", 5.0)
    async with serving(ModelServer(acts, **server)) as model:
        with pytest.raises(BackendError) as caught:
            await asked(backend_at(model.url, request_timeout_s=request_timeout_s), silence_s=silence_s)
    return caught.value.failure


async def test_an_answer_comes_over_a_socket_with_its_usage() -> None:
    async with serving(ModelServer(SHORT)) as model:
        assert await asked(backend_at(model.url)) == WHOLE


async def test_an_answer_that_drips_byte_by_byte_is_the_same_answer() -> None:
    async with serving(ModelServer([ANSWER[at : at + 1] for at in range(len(ANSWER))])) as model:
        pieces = await asked(backend_at(model.url))
    assert text_of(pieces) == f"{WORDS} two"
    assert pieces[-1] == AnswerEnd(reason="stop", usage=TokenUsage(input_tokens=7, output_tokens=2))


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
async def test_an_answer_may_be_cut_at_any_byte_whatever_ends_its_lines(ending: bytes) -> None:
    whole = ANSWER.replace(b"\n", ending)
    expected = await read(ANSWER)
    for cut in range(len(whole)):
        assert await read(whole[:cut], whole[cut:]) == expected


async def test_lines_end_where_the_stream_says_and_not_where_unicode_does() -> None:
    for mark in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029":
        assert text_of(await read(frame(f"a{mark}b", reason="stop"), DONE)) == f"a{mark}b"


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ([r'"\ud83d"', r'"\ude42"'], "🙂"),
        ([r'"a\ud83d"', r'"\ude42b"'], "a🙂b"),
        ([r'"\ud83d"', '"b"'], "\ufffdb"),
        ([r'"\ude42"', '"b"'], "\ufffdb"),
        ([r'"a\ud83d"'], "a"),
    ],
)
async def test_a_character_told_in_halves_is_written_whole_or_not_at_all(frames: list[str], text: str) -> None:
    sent = [b'data: {"choices":[{"delta":{"content":%s}}]}\n\n' % said.encode() for said in frames]
    assert text_of(await read(*sent, frame(reason="stop"), DONE)) == text


@pytest.mark.parametrize(
    "body",
    [
        ANSWER.removesuffix(DONE),
        ANSWER.removesuffix(DONE).rstrip(b"\n"),
        ANSWER.replace(b"data: ", b"data:"),
        ANSWER.replace(b"data: ", b"event: chunk\nid: 1\ndata: "),
        ANSWER + frame("more"),
    ],
)
async def test_an_answer_is_whole_without_its_last_frame_with_other_fields_and_with_something_after_it(
    body: bytes,
) -> None:
    assert await read(body) == await read(ANSWER)


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        (None, None),
        ({"prompt_tokens": 3}, None),
        ({"prompt_tokens": "3", "completion_tokens": 2}, None),
        ({"prompt_tokens": 3, "completion_tokens": -2}, None),
        ({"prompt_tokens": 3, "completion_tokens": 2}, TokenUsage(input_tokens=3, output_tokens=2)),
        (
            {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}},
            TokenUsage(input_tokens=3, cached_tokens=1, output_tokens=2),
        ),
    ],
)
async def test_usage_is_what_the_backend_counts_wherever_it_stands(counted: Any, expected: TokenUsage | None) -> None:
    after = await read(frame("a"), frame(reason="stop"), line({"choices": [], "usage": counted}), DONE)
    within = await read(frame("a", usage=counted), frame(reason="stop", usage=None), DONE)
    assert after[-1] == within[-1] == AnswerEnd(reason="stop", usage=expected)


async def test_frames_without_text_say_nothing() -> None:
    frames = [frame(None), line({"choices": [{"delta": {"role": "assistant"}}]}), line({"choices": [{}]}), line({})]
    assert text_of(await read(*frames, frame("a", reason="length"), DONE)) == "a"


@pytest.mark.parametrize(
    ("reason", "end"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("tool_calls", "stop")],
)
async def test_only_a_limit_cuts_an_answer(reason: str, end: str) -> None:
    pieces = await read(frame("a", reason=reason), DONE)
    assert isinstance(pieces[-1], AnswerEnd)
    assert pieces[-1].reason == end


GARBLED = [
    b"data: {\n\n",
    b'data: {"choices":[{"delta":{"content":["a"]}}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":{"stop":1}}]}\n\n',
    b"data: []\n\n",
    b"data: 5\n\n",
    b"data: \xff\n\n",
    b"data: " + b"[" * 100_000 + b"\n\n",
    b'data: {"error":{"message":"out of memory"}}\n\n',
    b"data: " + b"x" * 1_100_000,
    frame("b")[:20],
]


@pytest.mark.parametrize("bad", GARBLED, ids=range(len(GARBLED)))
async def test_a_garbled_frame_is_told_with_its_beginning(bad: bytes) -> None:
    with pytest.raises(BackendError) as caught:
        await read(frame("a"), bad)
    assert caught.value.failure.kind is FailureKind.BAD_FRAME
    assert caught.value.failure.text_received
    assert caught.value.failure.body.strip("\n")[:4] in bad.decode(errors="replace")
    assert len(caught.value.failure.body) <= BODY_CHARACTERS


@pytest.mark.parametrize("body", [b"", DONE, frame("a"), frame("a") + DONE, b": nothing\n\n"])
async def test_an_answer_that_stops_without_a_reason_is_truncated(body: bytes) -> None:
    with pytest.raises(BackendError) as caught:
        await read(body)
    assert caught.value.failure.kind is FailureKind.TRUNCATED
    assert caught.value.failure.text_received == (b"content" in body)


@settings(max_examples=80, deadline=None)
@given(
    pieces=st.lists(
        st.binary(max_size=30)
        | st.sampled_from([b"data: ", b"data:", b"\n", b"\r\n", b"{", b"}", b'"', b"[DONE]", frame("a"), DONE])
        | st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["choices", "delta", "content", "usage", "error", "finish_reason", "prompt_tokens"]
                    ),
                    inner,
                )
            ),
        ).map(line),
        max_size=8,
    )
)
async def test_whatever_a_server_sends_the_answer_is_text_or_a_backend_error(pieces: list[bytes]) -> None:
    ending = await ending_of(pieces)
    if isinstance(ending, Failure):
        assert ending.kind in (FailureKind.BAD_FRAME, FailureKind.TRUNCATED)
    else:
        assert ending.reason in ("stop", "length")


async def ending_of(chunks: Sequence[bytes]) -> AnswerEnd | Failure:
    """Return how an answer ends whose text can be written, as all text must."""
    try:
        pieces = await read(*chunks)
    except BackendError as error:
        return error.failure
    assert isinstance(pieces[-1], AnswerEnd)
    text_of(pieces).encode()
    return pieces[-1]


async def test_a_refusal_is_told_with_its_status_headers_and_the_beginning_of_its_body() -> None:
    found = await failure(
        b'{"error":"busy"}' + b" " * 3_000_000 + b"end",
        status=429,
        headers={"content-type": "application/json", "retry-after": "7"},
    )
    assert (found.kind, found.status) == (FailureKind.STATUS, 429)
    assert found.headers is not None
    assert found.headers["retry-after"] == "7"
    assert found.body.startswith('{"error":"busy"}')
    assert len(found.body) == BODY_CHARACTERS


async def test_the_body_of_a_refusal_is_not_waited_for() -> None:
    found = await failure(b"beginn", HANG, silence_s=0.1, status=503, headers={"content-type": "text/plain"})
    assert (found.status, found.body) == (503, "beginn")


async def test_an_answer_that_is_no_stream_of_events_is_told_as_such() -> None:
    found = await failure(b"<!doctype html>", headers={"content-type": "text/html"})
    assert (found.kind, found.body) == (FailureKind.WRONG_CONTENT_TYPE, "<!doctype html>")


async def test_the_type_of_the_content_is_read_without_its_case_and_parameters() -> None:
    async with serving(ModelServer(SHORT, headers={"content-type": "Text/Event-Stream; charset=latin-1"})) as model:
        assert await asked(backend_at(model.url)) == WHOLE


SILENCES: list[tuple[list[Any], dict[str, Any], bool]] = [
    ([], {"before": [HANG], "request_timeout_s": 0.2}, False),
    ([HANG], {"request_timeout_s": 0.2}, False),
    ([b": wait\n\n", 0.05] * 20, {"request_timeout_s": 0.2}, False),
    ([frame(""), 0.05] * 20, {"request_timeout_s": 0.2}, False),
    ([frame("a"), HANG], {"silence_s": 0.2}, True),
    ([frame("a"), *[b": wait\n\n", 0.05] * 20], {"silence_s": 0.2}, True),
    ([frame("a"), *[b"d", 0.05] * 20], {"silence_s": 0.2}, True),
]


@pytest.mark.parametrize(("acts", "bounds", "text"), SILENCES, ids=range(len(SILENCES)))
async def test_silence_ends_an_attempt_and_what_says_nothing_is_silence(
    acts: list[Any],
    bounds: dict[str, Any],
    text: bool,  # noqa: FBT001 - a column of the table
) -> None:
    begun = time.monotonic()
    found = await failure(*acts, **bounds)
    assert found == Failure(kind=FailureKind.READ_TIMEOUT, text_received=text)
    assert time.monotonic() - begun < 0.9


async def test_an_answer_slower_than_its_request_may_take_goes_on_while_it_speaks() -> None:
    acts = [*[frame("a"), 0.06] * 8, frame("b", reason="stop"), DONE]
    async with serving(ModelServer(acts)) as model:
        pieces = await asked(backend_at(model.url, request_timeout_s=0.2), silence_s=0.2)
    assert text_of(pieces) == "aaaaaaaab"


@pytest.mark.parametrize("after", [[HANG], [RESET]], ids=["hangs", "resets"])
async def test_an_answer_whose_reason_to_end_is_told_is_whole_whatever_follows(after: list[object]) -> None:
    async with serving(ModelServer([frame("a", reason="stop"), 0.05, *after])) as model:
        pieces = await asked(backend_at(model.url), silence_s=0.2)
    assert pieces == [TextPiece(text="a"), AnswerEnd(reason="stop", usage=None)]


@pytest.mark.parametrize(
    ("acts", "before", "text"), [([], [RESET], False), ([RESET], [], False), ([frame("a"), 0.05, RESET], [], True)]
)
async def test_a_connection_that_breaks_is_told_as_a_reset(
    acts: list[Any],
    before: list[Any],
    text: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert await failure(*acts, before=before) == Failure(kind=FailureKind.RESET, text_received=text)


async def test_nobody_listening_is_told_as_refused() -> None:
    async with serving(ModelServer()) as model:
        url = model.url
    with pytest.raises(BackendError) as caught:
        await asked(backend_at(url))
    assert caught.value.failure == Failure(kind=FailureKind.REFUSED)


async def test_leaving_the_stream_closes_the_connection_at_once() -> None:
    async with serving(ModelServer([frame("a"), HANG])) as model, httpx.AsyncClient(trust_env=False) as http:
        client = OpenAIBackend(backend_at(model.url), http, silence_s=60)
        async with client.stream(call()) as pieces:
            assert await anext(pieces) == TextPiece(text="a")
        left = time.monotonic()
        await asyncio.wait_for(model.gone.wait(), 1)
        assert time.monotonic() - left < 0.5


@pytest.mark.parametrize("before", [[HANG], []], ids=["before its headers", "before its first words"])
async def test_a_call_that_is_given_up_closes_the_connection_at_once(before: list[object]) -> None:
    async with serving(ModelServer([HANG], before=before)) as model:
        asking = asyncio.create_task(asked(backend_at(model.url)))
        await asyncio.wait_for(model.came.wait(), 5)
        asking.cancel()
        await asyncio.wait_for(model.gone.wait(), 1)
        await asyncio.wait((asking,))
        assert asking.cancelled()


async def test_calls_that_end_share_one_connection() -> None:
    async with serving(ModelServer(SHORT)) as model, httpx.AsyncClient(trust_env=False) as http:
        client = OpenAIBackend(backend_at(model.url), http, silence_s=5)
        for _ in range(3):
            assert await heard(client, call()) == WHOLE
    assert len(set(model.ports)) == 1


SAID: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "hi"},
    {"role": "system", "content": "answer in one word"},
    {"role": "user", "content": "who?"},
]


async def test_a_request_says_who_said_what_and_how_much_may_be_said() -> None:
    async with serving(ModelServer(SHORT)) as model:
        await asked(backend_at(model.url), call(temperature=0.5, top_p=0.9))
    assert model.requests == [
        {
            "model": "served",
            "messages": SAID,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 32,
            "temperature": 0.5,
            "top_p": 0.9,
        }
    ]
    assert model.seen[0]["traceparent"] == call().traceparent


@pytest.mark.parametrize(
    ("continues", "more"),
    [
        (ContinuationMode.ASSISTANT_PREFILL, {}),
        (ContinuationMode.CONTINUE_FINAL_MESSAGE, {"continue_final_message": True, "add_generation_prompt": False}),
    ],
)
async def test_a_backend_is_asked_to_go_on_in_its_own_way(continues: ContinuationMode, more: dict[str, bool]) -> None:
    async with serving(ModelServer(SHORT)) as model:
        await asked(backend_at(model.url, continues=continues), call("four and"))
        await asked(backend_at(model.url, continues=continues), call())
    (first, second) = model.requests
    assert first == {**second, **more, "messages": [*SAID, {"role": "assistant", "content": "four and"}]}
    assert second["messages"] == SAID
    assert "temperature" not in second


async def test_a_withdrawn_request_still_gives_what_the_server_had_sent() -> None:
    words = [frame(f"{number} ") for number in range(50)]
    async with serving(ModelServer(acts=[*words, HANG])) as server, httpx.AsyncClient(trust_env=False) as http:
        client = OpenAIBackend(backend_at(server.url), http, silence_s=5)
        async with client.stream(call()) as pieces:
            first = await anext(pieces)
            await asyncio.sleep(0.1)
            assert isinstance(pieces, WithdrawableStream)
            pieces.withdraw()
            rest = list[TextPiece | AnswerEnd]()
            with suppress(BackendError):
                while True:
                    rest.append(await anext(pieces))
            await asyncio.wait_for(server.gone.wait(), timeout=5)
    assert [first, *rest] == [TextPiece(text=f"{number} ") for number in range(50)]
