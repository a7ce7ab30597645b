"""Does each vendor's own SDK take the stand-in of its system for the real one?"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import boto3
import openai
import pytest
from botocore.config import Config
from openai import AsyncOpenAI

from clients.backends.credentials import HttpCall
from standins.clock import now
from standins.issuer.aws_keys import issued_credentials
from standins.systems.doors import DOORS
from standins.systems.identities import REGION, SECRET, Tokens
from tests.checks import every
from tests.contracts.backends.scene import KeyRing
from tests.standins.systems.serving import ServedSystems, served_systems

ANSWER = "1 2 3 4 5"
ONCE: Any = Config(retries={"total_max_attempts": 1})
"""boto3 repeats a call that a starting model refuses, until the model is up."""

TOOL = {"name": "look", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}


@pytest.fixture
async def systems() -> AsyncIterator[ServedSystems]:
    async with served_systems() as found:
        yield found


def aws_client(service: str, url: str) -> Any:
    keys = issued_credentials(int(now()) + 900)
    create: Any = boto3.client  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - it has no types
    return create(
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.session_token,
        config=ONCE,
    )


def conversation(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"text": text}]}]


@dataclass(slots=True)
class Bedrock:
    url: str

    def whole(self, text: str, **more: Any) -> dict[str, Any]:
        client = aws_client("bedrock-runtime", self.url)
        return client.converse(modelId="arn:aws:bedrock:a/b", messages=conversation(text), **more)

    def stream(self, text: str) -> list[dict[str, Any]]:
        client = aws_client("bedrock-runtime", self.url)
        return [*client.converse_stream(modelId="us.m:0", messages=conversation(text))["stream"]]

    def error(self, text: str, messages: list[dict[str, Any]] | None = None) -> str:
        client = aws_client("bedrock-runtime", self.url)
        try:
            client.converse(modelId="m", messages=messages or conversation(text))
        except client.exceptions.ClientError as error:
            return error.response["Error"]["Code"]
        return ""


async def bedrock(systems: ServedSystems) -> Bedrock:
    await systems.awake("bedrock-converse")
    return Bedrock(systems.url("bedrock-converse"))


async def test_boto3_converses(systems: ServedSystems) -> None:
    client = await bedrock(systems)
    whole = await asyncio.to_thread(client.whole, "COUNT 5")
    assert whole["output"]["message"]["content"] == [{"text": ANSWER}]
    assert (whole["stopReason"], whole["usage"]["outputTokens"]) == ("end_turn", 5)
    stream = await asyncio.to_thread(client.stream, "COUNT 5")
    assert (
        "".join(each["contentBlockDelta"]["delta"]["text"] for each in stream if "contentBlockDelta" in each) == ANSWER
    )
    assert [next(iter(each)) for each in stream][-2:] == ["messageStop", "metadata"]
    tools = {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": TOOL["parameters"]}}}]}
    called = await asyncio.to_thread(lambda: client.whole("CALL look", toolConfig=tools))
    (used,) = [each["toolUse"] for each in called["output"]["message"]["content"]]
    assert (used["name"], [*used["input"]], called["stopReason"]) == ("look", ["n"], "tool_use")


async def test_boto3_meets_bedrock_s_refusals(systems: ServedSystems) -> None:
    client = Bedrock(systems.url("bedrock-converse"))
    assert await asyncio.to_thread(client.error, "COUNT 5") == "ModelNotReadyException"
    await systems.awake("bedrock-converse")
    assert await asyncio.to_thread(client.error, "FAIL 500") == "InternalServerException"
    twice = [*conversation("a"), *conversation("b")]
    assert await asyncio.to_thread(client.error, "", twice) == "ValidationException"


def invoked(service: str, url: str, call: Callable[[Any, str], bytes]) -> bytes:
    messages = [{"role": "user", "content": "COUNT 5"}]
    return call(aws_client(service, url), json.dumps({"messages": messages, "stream": True}))


def endpoint(client: Any, body: str) -> bytes:
    found = client.invoke_endpoint_with_response_stream(EndpointName="e", Body=body, ContentType="application/json")
    return b"".join(each["PayloadPart"]["Bytes"] for each in found["Body"])


def function(client: Any, body: str) -> bytes:
    found = client.invoke_with_response_stream(FunctionName="f", Payload=body)
    return b"".join(each["PayloadChunk"]["Payload"] for each in found["EventStream"] if "PayloadChunk" in each)


async def test_boto3_invokes_an_endpoint_and_a_function(systems: ServedSystems) -> None:
    await systems.awake("sagemaker-invocations")
    await systems.awake("lambda-invoke")
    origin = f"{systems.origin}/systems"
    for service, name, call in (
        ("sagemaker-runtime", "sagemaker-invocations", endpoint),
        ("lambda", "lambda-invoke", function),
    ):
        found = await asyncio.to_thread(invoked, service, f"{origin}/{name}", call)
        assert found.endswith(b"data: [DONE]\n\n")
        assert every(f'"content": "{word}"'.encode() in found for word in ("1", " 2", " 5"))


async def test_openai_reads_responses(systems: ServedSystems) -> None:
    url = systems.url("openai-responses")
    async with AsyncOpenAI(api_key=SECRET, base_url=url, max_retries=0) as client:
        async with client.responses.stream(model="m", input="COUNT 5") as stream:
            final = await stream.get_final_response()
        assert (final.output_text, final.status) == (ANSWER, "completed")
        tools: Any = [{"type": "function", **TOOL, "strict": False}]
        called = await client.responses.create(model="m", input="CALL look", tools=tools)
        assert [(each.type, getattr(each, "name", "")) for each in called.output] == [("function_call", "look")]
        cut = await client.responses.create(model="m", input="COUNT 50", max_output_tokens=16)
        assert cut.incomplete_details is not None
        assert cut.incomplete_details.reason == "max_output_tokens"
        with pytest.raises(openai.BadRequestError):
            await client.responses.create(model="m", input="COUNT 50", max_output_tokens=15)
    async with AsyncOpenAI(api_key="another", base_url=url, max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.responses.create(model="m", input="COUNT 5")


@pytest.mark.parametrize("name", ["openai", "azure-openai", "vertex-managed", "hf-providers", "vllm"])
async def test_openai_reads_chat_completions(systems: ServedSystems, name: str) -> None:
    identity, ring = DOORS[name].identity, KeyRing()
    call = HttpCall(method="POST", url=systems.url(name))
    key = ring.token(identity, call) if isinstance(identity, Tokens) else SECRET
    async with AsyncOpenAI(api_key=key, base_url=systems.url(name), max_retries=0) as client:
        found = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "COUNT 5"}])
    assert found.choices[0].message.content == ANSWER
