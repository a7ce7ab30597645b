"""Is an OpenAI-compatible answer parsed correctly however its bytes arrive, and is every failure reported?"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.backends.port import AnswerEnd, BackendError, TextPiece, WithdrawableStream
from domain.fleet.catalog import ContinuationMode
from domain.fleet.failure_classes import BODY_CHARACTERS, Failure, FailureKind
from domain.log.events import TokenUsage
from tests.checks import at_most
from tests.clients.backends.model_server import (
    DONE,
    HANG,
    RESET,
    ModelServer,
    all_pieces,
    answer_of,
    backend_at,
    call,
    frame,
    line,
    parsed,
    serving,
    text_of,
    usage,
)
from tests.fakes.backends import http_backend

WORDS = "naïve 日本語 \u2028 \x85 \x0b 🙂 end"
ANSWER = b": started\n\n" + frame("") + frame(WORDS) + frame(" two") + frame(reason="stop") + usage() + DONE
SHORT = [frame("one"), frame(" two", reason="stop"), usage(), DONE]
WHOLE = [
    TextPiece(text="one"),
    TextPiece(text=" two"),
    AnswerEnd(reason="stop", usage=TokenUsage(input_tokens=7, output_tokens=2)),
]


async def failure(*acts: bytes | float | object, silence_s: float = 5.0, **server: Any) -> Failure:
    """Return the failure of an exchange with a server that performs these acts."""
    request_timeout_s = server.pop("request_timeout_s", 5.0)
    async with serving(ModelServer(acts, **server)) as model:
        with pytest.raises(BackendError) as caught:
            await answer_of(backend_at(model.url, request_timeout_s=request_timeout_s), silence_s=silence_s)
    return caught.value.failure


async def test_an_answer_arrives_over_a_socket_with_its_usage() -> None:
    async with serving(ModelServer(SHORT)) as model:
        assert await answer_of(backend_at(model.url)) == WHOLE


async def test_an_answer_that_arrives_byte_by_byte_is_the_same_answer() -> None:
    async with serving(ModelServer([ANSWER[at : at + 1] for at in range(len(ANSWER))])) as model:
        pieces = await answer_of(backend_at(model.url))
    assert text_of(pieces) == f"{WORDS} two"
    assert pieces[-1] == AnswerEnd(reason="stop", usage=TokenUsage(input_tokens=7, output_tokens=2))


@pytest.mark.slow
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
async def test_an_answer_may_be_split_at_any_byte_with_any_line_ending(ending: bytes) -> None:
    whole = ANSWER.replace(b"\n", ending)
    expected = await parsed(ANSWER)
    for cut in range(len(whole)):
        assert await parsed(whole[:cut], whole[cut:]) == expected


async def test_lines_end_at_cr_and_lf_and_not_at_unicode_line_separators() -> None:
    for mark in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029":
        assert text_of(await parsed(frame(f"a{mark}b", reason="stop"), DONE)) == f"a{mark}b"


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
async def test_a_character_split_over_two_frames_is_written_whole_or_replaced(frames: list[str], text: str) -> None:
    sent = [b'data: {"choices":[{"delta":{"content":%s}}]}\n\n' % content.encode() for content in frames]
    assert text_of(await parsed(*sent, frame(reason="stop"), DONE)) == text


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
    assert await parsed(body) == await parsed(ANSWER)


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
async def test_usage_is_what_the_backend_counts_in_any_frame(counted: Any, expected: TokenUsage | None) -> None:
    after = await parsed(frame("a"), frame(reason="stop"), line({"choices": [], "usage": counted}), DONE)
    within = await parsed(frame("a", usage=counted), frame(reason="stop", usage=None), DONE)
    assert after[-1] == within[-1] == AnswerEnd(reason="stop", usage=expected)


async def test_frames_without_text_yield_no_piece() -> None:
    frames = [frame(None), line({"choices": [{"delta": {"role": "assistant"}}]}), line({"choices": [{}]}), line({})]
    assert text_of(await parsed(*frames, frame("a", reason="length"), DONE)) == "a"


@pytest.mark.parametrize(
    ("reason", "end"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("tool_calls", "stop")],
)
async def test_only_a_limit_or_a_filter_cuts_an_answer(reason: str, end: str) -> None:
    pieces = await parsed(frame("a", reason=reason), DONE)
    assert isinstance(pieces[-1], AnswerEnd)
    assert pieces[-1].reason == end


MALFORMED = [
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


@pytest.mark.parametrize("bad", MALFORMED, ids=range(len(MALFORMED)))
async def test_a_malformed_frame_is_reported_with_its_beginning(bad: bytes) -> None:
    with pytest.raises(BackendError) as caught:
        await parsed(frame("a"), bad)
    assert caught.value.failure.kind is FailureKind.BAD_FRAME
    assert caught.value.failure.text_received
    assert caught.value.failure.body.strip("\n")[:4] in bad.decode(errors="replace")
    assert len(caught.value.failure.body) <= BODY_CHARACTERS


@pytest.mark.parametrize("body", [b"", DONE, frame("a"), frame("a") + DONE, b": nothing\n\n"])
async def test_an_answer_that_stops_without_a_reason_is_truncated(body: bytes) -> None:
    with pytest.raises(BackendError) as caught:
        await parsed(body)
    assert caught.value.failure.kind is FailureKind.TRUNCATED
    assert caught.value.failure.text_received == (b"content" in body)


@settings(max_examples=at_most(80), deadline=None)
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
async def test_any_bytes_of_a_server_lead_to_text_or_a_backend_error(pieces: list[bytes]) -> None:
    ending = await ending_of(pieces)
    if isinstance(ending, Failure):
        assert ending.kind in (FailureKind.BAD_FRAME, FailureKind.TRUNCATED)
    else:
        assert ending.reason in ("stop", "length")


async def ending_of(chunks: Sequence[bytes]) -> AnswerEnd | Failure:
    """Return how an answer ends, after a check that its text can be encoded."""
    try:
        pieces = await parsed(*chunks)
    except BackendError as error:
        return error.failure
    assert isinstance(pieces[-1], AnswerEnd)
    text_of(pieces).encode()
    return pieces[-1]


async def test_an_error_status_is_reported_with_its_headers_and_the_beginning_of_its_body() -> None:
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


async def test_the_body_of_an_error_is_not_awaited_longer_than_a_silence() -> None:
    found = await failure(b"beginn", HANG, silence_s=0.1, status=503, headers={"content-type": "text/plain"})
    assert (found.status, found.body) == (503, "beginn")


async def test_an_answer_that_is_not_an_event_stream_is_a_wrong_content_type() -> None:
    found = await failure(b"<!doctype html>", headers={"content-type": "text/html"})
    assert (found.kind, found.body) == (FailureKind.WRONG_CONTENT_TYPE, "<!doctype html>")


async def test_the_content_type_is_compared_without_case_and_parameters() -> None:
    async with serving(ModelServer(SHORT, headers={"content-type": "Text/Event-Stream; charset=latin-1"})) as model:
        assert await answer_of(backend_at(model.url)) == WHOLE


SILENCES: list[tuple[list[Any], dict[str, Any], bool]] = [
    ([], {"before": [HANG], "request_timeout_s": 0.2}, False),
    ([HANG], {"request_timeout_s": 0.2}, False),
    ([b": wait\n\n", 0.05] * 20, {"request_timeout_s": 0.2}, False),
    ([frame(""), 0.05] * 20, {"request_timeout_s": 0.2}, False),
    ([frame("a"), HANG], {"silence_s": 0.2}, True),
    ([frame("a"), *[b": wait\n\n", 0.05] * 20], {"silence_s": 0.2}, True),
    ([frame("a"), *[b"d", 0.05] * 20], {"silence_s": 0.2}, True),
]


@pytest.mark.slow
@pytest.mark.parametrize(("acts", "bounds", "text"), SILENCES, ids=range(len(SILENCES)))
async def test_silence_ends_an_attempt_and_frames_without_text_count_as_silence(
    acts: list[Any],
    bounds: dict[str, Any],
    text: bool,  # noqa: FBT001 - a column of the table
) -> None:
    found = await failure(*acts, **bounds)
    assert found == Failure(kind=FailureKind.READ_TIMEOUT, text_received=text)


@pytest.mark.slow
async def test_an_answer_may_take_longer_than_the_request_timeout_while_text_arrives() -> None:
    acts = [*[frame("a"), 0.2] * 8, frame("b", reason="stop"), DONE]
    async with serving(ModelServer(acts)) as model:
        pieces = await answer_of(backend_at(model.url, request_timeout_s=1.5), silence_s=60.0)
    assert text_of(pieces) == "aaaaaaaab"


@pytest.mark.parametrize("after", [[HANG], [RESET]], ids=["hangs", "resets"])
async def test_an_answer_with_a_finish_reason_is_complete_whatever_follows(after: list[object]) -> None:
    async with serving(ModelServer([frame("a", reason="stop"), 0.05, *after])) as model:
        pieces = await answer_of(backend_at(model.url), silence_s=0.2)
    assert pieces == [TextPiece(text="a"), AnswerEnd(reason="stop", usage=None)]


@pytest.mark.parametrize(
    ("acts", "before", "text"), [([], [RESET], False), ([RESET], [], False), ([frame("a"), 0.05, RESET], [], True)]
)
async def test_a_broken_connection_is_a_reset(
    acts: list[Any],
    before: list[Any],
    text: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert await failure(*acts, before=before) == Failure(kind=FailureKind.RESET, text_received=text)


async def test_a_port_without_a_listener_is_refused() -> None:
    async with serving(ModelServer()) as model:
        url = model.url
    with pytest.raises(BackendError) as caught:
        await answer_of(backend_at(url))
    assert caught.value.failure == Failure(kind=FailureKind.REFUSED)


async def test_leaving_the_stream_closes_the_connection_at_once() -> None:
    async with serving(ModelServer([frame("a"), HANG])) as model, httpx.AsyncClient(trust_env=False) as http:
        client = http_backend(backend_at(model.url), http, silence_s=60)
        async with client.stream(call()) as pieces:
            assert await anext(pieces) == TextPiece(text="a")
        await asyncio.wait_for(model.client_closed.wait(), 60)


@pytest.mark.parametrize("before", [[HANG], []], ids=["before its headers", "before its first text"])
async def test_a_cancelled_call_closes_the_connection_at_once(before: list[object]) -> None:
    async with serving(ModelServer([HANG], before=before)) as model:
        request = asyncio.create_task(answer_of(backend_at(model.url)))
        await asyncio.wait_for(model.request_received.wait(), 60)
        request.cancel()
        await asyncio.wait_for(model.client_closed.wait(), 60)
        await asyncio.wait((request,))
        assert request.cancelled()


async def test_consecutive_calls_share_one_connection() -> None:
    async with serving(ModelServer(SHORT)) as model, httpx.AsyncClient(trust_env=False) as http:
        client = http_backend(backend_at(model.url), http, silence_s=5)
        for _ in range(3):
            assert await all_pieces(client, call()) == WHOLE
    assert len(set(model.client_ports)) == 1


MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "hi"},
    {"role": "system", "content": "answer in one word"},
    {"role": "user", "content": "who?"},
]


async def test_a_request_carries_the_conversation_and_the_limit() -> None:
    async with serving(ModelServer(SHORT)) as model:
        await answer_of(backend_at(model.url), call(temperature=0.5, top_p=0.9))
    assert model.requests == [
        {
            "model": "served",
            "messages": MESSAGES,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 32,
            "temperature": 0.5,
            "top_p": 0.9,
        }
    ]
    assert model.request_headers[0]["traceparent"] == call().traceparent


@pytest.mark.parametrize(
    ("continues", "more"),
    [
        (ContinuationMode.ASSISTANT_PREFILL, {}),
        (ContinuationMode.CONTINUE_FINAL_MESSAGE, {"continue_final_message": True, "add_generation_prompt": False}),
    ],
)
async def test_each_backend_continues_a_partial_answer_by_its_own_fields(
    continues: ContinuationMode, more: dict[str, bool]
) -> None:
    async with serving(ModelServer(SHORT)) as model:
        await answer_of(backend_at(model.url, continues=continues), call("four and"))
        await answer_of(backend_at(model.url, continues=continues), call())
    (first, second) = model.requests
    assert first == {**second, **more, "messages": [*MESSAGES, {"role": "assistant", "content": "four and"}]}
    assert second["messages"] == MESSAGES
    assert "temperature" not in second


async def test_a_withdrawn_request_still_gives_what_the_server_had_sent() -> None:
    words = [frame(f"{number} ") for number in range(50)]
    async with serving(ModelServer(acts=[*words, HANG])) as server, httpx.AsyncClient(trust_env=False) as http:
        client = http_backend(backend_at(server.url), http, silence_s=5)
        async with client.stream(call()) as pieces:
            first = await anext(pieces)
            await asyncio.sleep(0.1)
            assert isinstance(pieces, WithdrawableStream)
            pieces.withdraw()
            rest = list[TextPiece | AnswerEnd]()
            with suppress(BackendError):
                while True:
                    rest.append(await anext(pieces))
            await asyncio.wait_for(server.client_closed.wait(), timeout=60)
    assert [first, *rest] == [TextPiece(text=f"{number} ") for number in range(50)]
