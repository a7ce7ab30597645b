"""How much work are an answer's pieces, a signature and the credentials of every kind?

`python -m benches.backends [RUNS]`: CPU time, medians of runs that alternate. The server is a list of bytes in the same
process; what httpx and the event loop do for each piece is part of the figure.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from copy import replace
from typing import Any

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from benches.command_line import chosen_number
from benches.imports.app import SETTINGS
from benches.tables import print_table
from clients.backends.credentials import HttpCall, NoCredentials
from clients.backends.formats.event_stream import CONTENT_TYPE
from clients.backends.http_backend import HttpBackend
from clients.backends.images import NoImages
from clients.backends.port import BackendCall
from clients.clock import SystemClock
from clients.identity import aws
from clients.identity.aws import RoleCredentials, short_term_key, signed_headers
from clients.identity.aws_credentials import AwsCredentials
from domain.fleet.catalog import Auth, AuthKind
from domain.identity.federation import AwsFederation
from tests.clients.backends.formats.frames import event
from tests.contracts.backends.scene import asking, backend_of, role_credentials

RUNS = 15
PIECES = 2000
SIGNATURES = 400
URL = "http://127.0.0.1:1"
WORD = " ocean"
MEMORY = """
import resource, sys
sys.modules["rich"] = None
import function_app
alone = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
loaded = "botocore" in sys.modules
from clients.identity.backend_credentials import MODULES, import_all
import_all([*MODULES])
print(alone, loaded, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


class Frames(httpx.AsyncByteStream):
    """A body that arrives frame by frame, as a server flushes it."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        self.frames = frames

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for frame in self.frames:
            yield frame


def chat_frames() -> Sequence[bytes]:
    """Return a stream of Chat Completions as vLLM sends it."""
    head = {"id": "chatcmpl-0123456789abcdef", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def data(**more: object) -> bytes:
        return f"data: {json.dumps({**head, **more})}\n\n".encode()

    def choice(delta: object, reason: str | None) -> Sequence[object]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    usage = {"prompt_tokens": 9, "completion_tokens": PIECES, "total_tokens": 9 + PIECES}
    words = [data(choices=choice({"content": WORD}, None)) for _ in range(PIECES)]
    return [*words, data(choices=choice({}, "stop")), data(choices=[], usage=usage), b"data: [DONE]\n\n"]


def converse_frames() -> Sequence[bytes]:
    usage = {"inputTokens": 9, "outputTokens": PIECES, "totalTokens": 9 + PIECES}
    words = [event("contentBlockDelta", contentBlockIndex=0, delta={"text": WORD}) for _ in range(PIECES)]
    end = [event("messageStop", stopReason="end_turn"), event("metadata", usage=usage, metrics={"latencyMs": 1})]
    return [event("messageStart", role="assistant"), *words, *end]


async def piece_us(system: str, content_type: str, frames: Sequence[bytes], call: BackendCall) -> float:
    """Read one answer; return the microseconds of CPU for each of its pieces."""

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": content_type}, stream=Frames(frames))

    backend = replace(backend_of(system, URL), served_model="m")
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), trust_env=False) as http:
        client = HttpBackend(backend, http, silence_s=60, credentials=NoCredentials(), images=NoImages())
        began = time.process_time()
        async with client.stream(call) as pieces:
            found = [piece async for piece in pieces]
        took = time.process_time() - began
    assert len(found) == PIECES + 1
    return took / PIECES * 1e6


def adapters(runs: int) -> Sequence[tuple[float, float]]:
    chat, converse, call = chat_frames(), converse_frames(), asking("Which ocean is the largest?")

    async def pair() -> tuple[float, float]:
        sse = await piece_us("openai", "text/event-stream", chat, call)
        return sse, await piece_us("bedrock-converse", CONTENT_TYPE, converse, call)

    return [asyncio.run(pair()) for _ in range(runs)]


def each_us(work: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(SIGNATURES):
        work()
    return (time.process_time() - began) / SIGNATURES * 1e6


def signatures(runs: int) -> Sequence[tuple[float, float]]:
    """Return pairs of microseconds: botocore's own signature, and ours with all that surrounds it."""
    keys, body = role_credentials(), json.dumps({"messages": ["word " * 400]}).encode()
    url = "https://lambda.us-east-1.amazonaws.com/2015-03-31/functions/f/invocations"

    def bare() -> None:
        signer: Any = SigV4Auth(keys, "lambda", "us-east-1")
        signer.add_auth(AWSRequest(method="POST", url=url, data=body))

    def ours() -> None:
        signed_headers(keys, HttpCall(method="POST", url=url, body=body), service="lambda", region="us-east-1")

    return [(each_us(bare), each_us(ours)) for _ in range(runs)]


async def calls_of_credentials() -> tuple[int, int]:
    """Return how many short-term keys 1,000 warm calls of one backend make, and how often they assume its role."""
    made: list[str] = []
    assumed: list[str] = []

    class Counted(AwsCredentials):
        def fetch(self, role: str, region: str) -> RoleCredentials:
            assumed.append(f"{role}/{region}")
            return role_credentials()

    def counting(keys: RoleCredentials, *, service: str, region: str) -> str:
        made.append(service)
        return short_term_key(keys, service=service, region=region)

    found = Counted(AwsFederation(role="r", scope="s"), SystemClock(), client_id=None)
    auth = Auth(kind=AuthKind.AWS_KEY, service="bedrock", region="us-east-1")
    aws.short_term_key = counting
    try:
        for _ in range(1001):
            await found.header(auth, HttpCall(method="POST", url=URL))
    finally:
        aws.short_term_key = short_term_key
    return len(made), len(assumed) - 1


def memory() -> tuple[float, str, float]:
    """Return the MiB of the imported app, whether it loaded botocore, and the MiB with the SDKs of all credentials."""
    command = [sys.executable, "-W", "ignore", "-c", MEMORY]
    done = subprocess.run(command, env=os.environ | SETTINGS, capture_output=True, text=True, check=True)  # noqa: S603 - a fixed command
    alone, loaded, warm = done.stdout.split()[-3:]
    return float(alone), loaded, float(warm)


def main() -> None:
    runs = chosen_number(RUNS, "runs")
    pieces, signed = adapters(runs), signatures(runs)
    sse, converse = (statistics.median(pair[side] for pair in pieces) for side in (0, 1))
    bare, ours = (statistics.median(pair[side] for pair in signed) for side in (0, 1))
    keys, requests = asyncio.run(calls_of_credentials())
    alone, loaded, warm = memory()
    print_table(
        ("measure", "figure", "limit"),
        [
            ("adapter work for each piece, SSE, µs", f"{sse:.1f}", "30"),
            ("the same for AWS's event stream, µs", f"{converse:.1f}", ""),
            ("event stream ÷ SSE", f"{converse / sse:.2f}", "1.3"),
            ("a signature, µs", f"{ours:.0f}", ""),
            ("a signature ÷ botocore's own", f"{ours / bare:.2f}", "1.3"),
            ("short-term keys made in 1,001 calls", str(keys), "1"),
            ("credential requests of 1,000 warm calls", str(requests), "0"),
            ("import without AWS, MiB", f"{alone:.0f}", "100"),
            ("botocore loaded by it", loaded, "False"),
            ("the SDKs of every kind of credential loaded, MiB", f"{warm:.0f}", "115"),
        ],
    )
