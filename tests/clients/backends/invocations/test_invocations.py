"""Are the invocations of SageMaker and Lambda read as AWS's own SDK reads them?"""

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from copy import replace
from random import Random
from typing import Any

import boto3
import httpx
import pytest
from aiohttp import web

from clients.backends.chat_request import request_body
from clients.backends.formats.event_stream import CONTENT_TYPE
from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from domain.fleet.catalog import Adapter, Backend
from domain.fleet.failure_classes import Failure, FailureClass, FailureKind, diagnose
from domain.fleet.request_forms import Probe, ProbeBody, ProbeMethod
from tests.clients.backends.formats.frames import frame
from tests.clients.backends.model_server import all_pieces, backend_at, call, end_of, text_of
from tests.clients.backends.test_system_defaults import CHUNKS, WHOLE, Answer, Server, serving
from tests.fakes.backends import http_backend

SSE = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in CHUNKS).encode() + b"data: [DONE]\n\n"
LINES = "".join(f"{json.dumps(chunk)}\n" for chunk in CHUNKS).encode()
PROBE = Probe(method=ProbeMethod.POST, path="invocations", body=ProbeBody.CHAT)


def backend(adapter: Adapter, url: str = "http://127.0.0.1:1/v1", **changes: Any) -> Backend:
    path = "/endpoints/e" if adapter is Adapter.SAGEMAKER else "/functions/f"
    found = replace(backend_at(url.removesuffix("/v1") + path), adapter=adapter, streams=True, probe=PROBE)
    return replace(found, **changes)


def event(kind: str, payload: bytes) -> bytes:
    return frame({":message-type": "event", ":event-type": kind, ":content-type": "application/json"}, payload)


def exception(kind: str) -> bytes:
    return frame({":message-type": "exception", ":exception-type": kind}, b'{"Message":"account 123456789012"}')


def parts(kind: str, whole: bytes, seed: int = 12) -> list[bytes]:
    """Return messages whose payloads are the bytes of a body, cut anywhere."""
    random, found, at = Random(seed), list[bytes](), 0  # noqa: S311 - the streams of a test must repeat
    while at < len(whole):
        size = random.randint(1, 40)
        found.append(event(kind, whole[at : at + size]))
        at += size
    return found


def streaming(*messages: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": CONTENT_TYPE, **(headers or {})})
        await response.prepare(request)
        whole = b"".join(messages)
        for start in range(0, len(whole), 37):
            await response.write(whole[start : start + 37])
        return response

    return answer


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body, status=status, headers=headers)

    return answer


async def read(server: Server, found: Backend, request: BackendCall | None = None) -> list[TextPiece | AnswerEnd]:
    path = "/endpoints/e" if found.adapter is Adapter.SAGEMAKER else "/functions/f"
    at = replace(found, url=server.url.removesuffix("/v1") + path)
    async with httpx.AsyncClient(trust_env=False) as http:
        return await all_pieces(http_backend(at, http, silence_s=5), request or call())


async def pieces(answer: Answer, found: Backend) -> Sequence[TextPiece | AnswerEnd]:
    async with serving(answer) as server:
        return await read(server, found)


async def failure_of(answer: Answer, found: Backend) -> Failure:
    with pytest.raises(BackendError) as caught:
        await pieces(answer, found)
    return caught.value.failure


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def client(service: str, url: str) -> Any:
    create: Any = boto3.client  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - it has no types
    return create(service, region_name="us-east-1", endpoint_url=url.removesuffix("/v1"))


SAGEMAKER, LAMBDA = backend(Adapter.SAGEMAKER), backend(Adapter.LAMBDA)
BODY = json.dumps(request_body(SAGEMAKER, call()))


def judged_endpoint(url: str) -> bytes:
    found = client("sagemaker-runtime", url).invoke_endpoint_with_response_stream(
        EndpointName="e", Body=BODY, ContentType="application/json", Accept="text/event-stream"
    )
    return b"".join(each["PayloadPart"]["Bytes"] for each in found["Body"])


def judged_function(url: str) -> bytes:
    found = client("lambda", url).invoke_with_response_stream(FunctionName="f", Payload=BODY)
    return b"".join(each["PayloadChunk"]["Payload"] for each in found["EventStream"] if "PayloadChunk" in each)


def judged_wholes(url: str) -> tuple[bytes, bytes]:
    endpoint = client("sagemaker-runtime", url).invoke_endpoint(
        EndpointName="e", Body=BODY, ContentType="application/json"
    )
    function = client("lambda", url).invoke(FunctionName="f", Payload=BODY)
    return endpoint["Body"].read(), function["Payload"].read()


def sent(server: Server) -> list[tuple[str, str, Any]]:
    return [(method, path, body) for method, path, _, body in server.requests]


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(("inner", "body"), [("text/event-stream", SSE), ("application/jsonlines", LINES), ("", SSE)])
async def test_sagemaker_s_stream_is_sent_and_read_as_boto3_does(inner: str, body: bytes) -> None:
    answer = streaming(*parts("PayloadPart", body), headers={"x-amzn-sagemaker-content-type": inner})
    async with serving(answer) as server:
        theirs = await asyncio.to_thread(judged_endpoint, server.url)
        ours = await read(server, SAGEMAKER)
        (their_request, our_request) = sent(server)
        headers = server.requests[1][2]
    assert theirs == body
    assert text_of(ours) == "Hello."
    assert end_of(ours).usage is not None
    assert their_request == our_request
    assert (headers["x-amzn-sagemaker-accept"], headers["content-type"]) == ("text/event-stream", "application/json")


PRELUDE = json.dumps({"statusCode": 200, "headers": {"Content-Type": "text/event-stream"}, "cookies": []}).encode()


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("body", [SSE, PRELUDE + bytes(8) + SSE, json.dumps(WHOLE).encode()])
async def test_lambda_s_stream_is_sent_and_read_as_boto3_does(body: bytes) -> None:
    answer = streaming(*parts("PayloadChunk", body), event("InvokeComplete", b"{}"))
    async with serving(answer) as server:
        theirs = await asyncio.to_thread(judged_function, server.url)
        ours = await read(server, LAMBDA)
        (their_request, our_request) = sent(server)
    assert theirs == body
    assert text_of(ours) == "Hello."
    assert their_request == our_request


@pytest.mark.usefixtures("aws")
async def test_whole_answers_are_sent_and_read_as_boto3_does() -> None:
    async with serving(reply(WHOLE)) as server:
        endpoint, function = await asyncio.to_thread(judged_wholes, server.url)
        ours = [await read(server, replace(each, streams=False)) for each in (SAGEMAKER, LAMBDA)]
        requests = sent(server)
    assert [text_of(each) for each in ours] == ["Hello.", "Hello."]
    assert json.loads(endpoint) == json.loads(function) == WHOLE
    assert [path for _, path, _ in requests[2:]] == [path for _, path, _ in requests[:2]]
    assert [body["stream"] for _, _, body in requests[2:]] == [False, False]


@pytest.mark.parametrize("is_encoded", [True, False])
async def test_a_whole_answer_of_a_function_can_be_an_http_response(is_encoded: bool) -> None:  # noqa: FBT001 - a case
    text = json.dumps(WHOLE)
    body = base64.b64encode(text.encode()).decode() if is_encoded else text
    response = {"statusCode": 200, "body": body, "isBase64Encoded": is_encoded}
    assert text_of(await pieces(reply(response), replace(LAMBDA, streams=False))) == "Hello."


LOADING = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}


async def test_an_error_of_the_server_inside_an_answer_has_its_own_status() -> None:
    prelude = json.dumps({"statusCode": 503, "headers": {}}).encode() + bytes(8)
    streamed = streaming(*parts("PayloadChunk", prelude + json.dumps(LOADING).encode()), event("InvokeComplete", b"{}"))
    whole = reply({"statusCode": 503, "body": json.dumps(LOADING)})
    for answer, streams in ((streamed, True), (whole, False)):
        failure = await failure_of(answer, replace(LAMBDA, streams=streams))
        assert (failure.kind, failure.status) == (FailureKind.STATUS, 503)
        assert json.loads(failure.body) == LOADING
        assert not failure.text_received


REPORT = (
    "REPORT RequestId: 1\tDuration: 795.9 ms\tBilled Duration: 1162 ms\tMemory Size: 512 MB\tInit Duration: 365.7 ms\n"
)
"""As in https://github.com/open-telemetry/opentelemetry-lambda/pull/2011, with tabs as in CloudWatch."""


@pytest.mark.parametrize(
    ("log", "billed_s"),
    [
        (REPORT, 1.162),
        (f"{REPORT.replace('1162', '9')}the function's own words\n{REPORT}", 1.162),
        ('{"type":"platform.report","record":{"metrics":{"durationMs":795.9,"billedDurationMs":796}}}', 0.796),
        ("START RequestId: 1", None),
    ],
)
async def test_lambda_says_itself_how_long_it_bills(log: str, billed_s: float | None) -> None:
    """The log follows the end of the function's own stream; of a whole answer it is a header."""
    encoded = base64.b64encode(log.encode()).decode()
    complete = event("InvokeComplete", json.dumps({"LogResult": encoded}).encode())
    whole = reply({"statusCode": 200, "body": json.dumps(WHOLE)}, headers={"x-amz-log-result": encoded})
    for answer, streams in ((streaming(*parts("PayloadChunk", SSE), complete), True), (whole, False)):
        async with serving(answer) as server:
            *_, end = await read(server, replace(LAMBDA, streams=streams))
        assert isinstance(end, AnswerEnd)
        assert (end.reason, end.billed_s) == ("stop", billed_s)
        assert server.requests[-1][2]["x-amz-log-type"] == "Tail"


@pytest.mark.parametrize("log", ["?", "\u00e9"])
async def test_a_log_that_is_not_base64_says_nothing(log: str) -> None:
    complete = event("InvokeComplete", json.dumps({"LogResult": log}).encode())
    async with serving(streaming(*parts("PayloadChunk", SSE), complete)) as server:
        *_, end = await read(server, LAMBDA)
    assert isinstance(end, AnswerEnd)
    assert end.billed_s is None


async def test_a_function_that_failed_is_a_failure_although_the_call_succeeded() -> None:
    body = {"errorMessage": "account 123456789012", "errorType": "Runtime.ExitError"}
    complete = event("InvokeComplete", json.dumps({"ErrorCode": "Unhandled", "ErrorDetails": "x"}).encode())
    answers = (
        (reply(body, headers={"x-amz-function-error": "Unhandled"}), False),
        (streaming(*parts("PayloadChunk", SSE[:90]), complete), True),
    )
    for answer, streams in answers:
        failure = await failure_of(answer, replace(LAMBDA, streams=streams))
        found = diagnose(failure, ())
        assert (failure.status, found.failure_class) == (424, FailureClass.BROKEN)
        assert "123456789012" not in found.reason


async def test_an_exception_of_sagemaker_in_mid_stream_has_its_name() -> None:
    failure = await failure_of(streaming(*parts("PayloadPart", SSE[:90]), exception("ModelStreamError")), SAGEMAKER)
    assert (failure.status, failure.headers) == (424, {"x-amzn-errortype": "ModelStreamError"})
    failure = await failure_of(streaming(exception("InternalStreamFailure")), SAGEMAKER)
    assert diagnose(failure, ()).failure_class is FailureClass.BROKEN


@pytest.mark.parametrize("found", [SAGEMAKER, LAMBDA])
async def test_damage_and_silence_are_failures(found: Backend) -> None:
    kind = "PayloadPart" if found is SAGEMAKER else "PayloadChunk"
    whole = b"".join(parts(kind, SSE))
    cut = await failure_of(streaming(whole[:300]), found)
    assert diagnose(cut, ()).failure_class is FailureClass.INDETERMINATE
    assert (await failure_of(streaming(whole[:300] + bytes(200)), found)).kind is FailureKind.BAD_FRAME
    assert (await failure_of(reply(WHOLE), found)).kind is FailureKind.WRONG_CONTENT_TYPE


@pytest.mark.parametrize("beginning", [b'{"statusCode": "x"}', b"[]", b'{"headers": {}}', b'{"statusCode": 9}'])
async def test_a_beginning_that_is_no_response_is_a_bad_frame(beginning: bytes) -> None:
    answer = streaming(*parts("PayloadChunk", beginning + bytes(8) + SSE), event("InvokeComplete", b"{}"))
    failure = await failure_of(answer, LAMBDA)
    assert failure.kind in {FailureKind.BAD_FRAME, FailureKind.TRUNCATED}


async def probed(answer: Answer, found: Backend) -> tuple[Server, Failure | None]:
    async with serving(answer) as server, httpx.AsyncClient(trust_env=False) as http:
        at = replace(found, url=found.url.replace("http://127.0.0.1:1", server.url.removesuffix("/v1")))
        try:
            await http_backend(at, http, silence_s=5).probe()
        except BackendError as error:
            return server, error.failure
    return server, None


@pytest.mark.parametrize(
    ("found", "path"),
    [(SAGEMAKER, "/endpoints/e/invocations"), (LAMBDA, "/2015-03-31/functions/f/invocations")],
)
async def test_the_probe_asks_for_a_whole_answer_of_one_token(found: Backend, path: str) -> None:
    server, failure = await probed(reply(WHOLE), found)
    assert failure is None
    ((method, asked, _, body),) = server.requests
    assert (method, asked, body["max_tokens"], body["stream"]) == ("POST", path, 1, False)


async def test_a_function_is_not_up_because_its_invocation_succeeds() -> None:
    _, failed = await probed(reply({"errorMessage": "x"}, headers={"x-amz-function-error": "Unhandled"}), LAMBDA)
    _, loading = await probed(reply({"statusCode": 503, "body": json.dumps(LOADING)}), LAMBDA)
    assert failed is not None
    assert loading is not None
    assert (failed.status, loading.status) == (424, 503)
