"""Does every system behave the same behind its adapter: warm, cold, overloaded, refusing, cut off, cancelled?

One row a system, one column a behaviour. `docs/backends.md` says what a system cannot do; that is asserted, too.
"""

import asyncio
import base64
import json
import re
from collections.abc import Sequence
from copy import replace

import pytest

from clients.backends.port import TextPiece
from domain.content.capabilities import Capability
from domain.content.tools import FunctionTool, OutputFormat, OutputFormatKind, ToolChoice, ToolConfig
from domain.fleet.catalog import Adapter, ContinuationMode
from domain.fleet.failure_classes import FailureClass, FailureKind, diagnose
from standins.systems.doors import DOORS
from standins.systems.identities import Everybody
from tests.clients.backends.model_server import end_of, text_of
from tests.contracts.backends.scene import UNCOUNTED, asking, scene_of
from tests.domain.fleets import SHIPPED_SYSTEMS

SYSTEMS = sorted(DOORS)
SLEEPING = [name for name in SYSTEMS if not DOORS[name].never_sleeps]
REFUSING = [name for name in SYSTEMS if not isinstance(DOORS[name].identity, Everybody)]
WHOLE = ("azure-ml-score", "kserve-infer", "sagemaker-serverless")
"""They answer as a whole."""
STREAMING = [name for name in SYSTEMS if name not in WHOLE]
WIRES = (
    *("openai", "openai-responses", "bedrock-converse", "sagemaker-invocations", "sagemaker-serverless"),
    *("lambda", "lambda-invoke", "triton-generate", "kserve-infer", "azure-ml-score"),
)
"""One system of each wire. The others send and read the same; `make campaign` asks them, too."""

pytestmark = pytest.mark.slow


def by_wire(names: Sequence[str]) -> pytest.MarkDecorator:
    each = [name if name in WIRES else pytest.param(name, marks=pytest.mark.campaign) for name in names]
    return pytest.mark.parametrize("name", each)


UNHEARD = ("nim", "tgi")
"""They do not listen for chats while they load, only their health is told. A refused connection is a row of its own."""

GUARD_S = 60.0
"""A stand-in that sees nothing writes for 25 s and ends well; `python -m benches.cancels` has the times."""
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
LOOK = FunctionTool(name="look", description="Looks.", parameters=SCHEMA)
FIND = FunctionTool(name="find", description="Finds.", parameters=SCHEMA)
PIXEL = "data:image/png;base64," + base64.b64encode(b"twelve bytes").decode()
ACCOUNT = re.compile(r"\d{12}")


def test_every_shipped_system_has_a_stand_in() -> None:
    """Replicate's predictions have contracts of their own: tests/clients/backends/predictions."""
    assert set(SHIPPED_SYSTEMS) - set(SYSTEMS) == {"scripted", "replicate"}


@pytest.mark.parametrize("name", SYSTEMS)
async def test_a_warm_backend_answers_with_text_end_and_the_tokens_of_its_own_books(name: str) -> None:
    async with scene_of(name) as scene:
        await scene.awake()
        answer = await scene.pieces(asking("COUNT 20"))
        end, books = end_of(answer), scene.last
    assert text_of(answer) == " ".join(str(number) for number in range(1, 21))
    assert len([piece for piece in answer if isinstance(piece, TextPiece)]) == (1 if name in WHOLE else 20)
    assert end.reason == "stop"
    if name in UNCOUNTED:
        assert end.usage is None
        return
    assert end.usage is not None
    assert (end.usage.input_tokens, end.usage.output_tokens) == (books.input_tokens, books.output_tokens)
    assert books.output_tokens == 20


@pytest.mark.parametrize("name", SLEEPING)
async def test_a_sleeping_backend_is_cold_or_holds_the_request(name: str) -> None:
    """The refusal itself starts the instance; the probe proves then that it is up."""
    async with scene_of(name, start_s=0.3) as scene:
        if scene.door.asleep:
            for request in (None,) if name in UNHEARD else (asking("COUNT 2"), None):
                found = diagnose(await scene.failure(request), scene.backend.signatures)
                assert found.failure_class is FailureClass.COLD, found
            await scene.served.systems.instances[name].up()
        await scene.client.probe()
        assert text_of(await scene.pieces(asking("COUNT 2"))) == "1 2"
        assert len(scene.served.systems.instances[name].lives) == 1


@pytest.mark.parametrize("name", SYSTEMS)
async def test_an_overloaded_backend_asks_to_come_back_later(name: str) -> None:
    """SageMaker hides the container's own status in a 424: it counts as a failure of the model."""
    async with scene_of(name) as scene:
        await scene.awake()
        found = diagnose(await scene.failure(asking("FAIL 429")), scene.backend.signatures, now=0.0)
    if scene.backend.adapter is Adapter.SAGEMAKER:
        assert found.failure_class is FailureClass.BROKEN
        return
    assert found.failure_class is FailureClass.THROTTLED
    assert found.delay_s == (None if scene.backend.adapter is Adapter.LAMBDA else 1.0)


@by_wire(SYSTEMS)
async def test_a_failure_of_the_model_sends_the_turn_elsewhere_and_shows_no_account(name: str) -> None:
    async with scene_of(name) as scene:
        await scene.awake()
        found = diagnose(await scene.failure(asking("FAIL 500")), scene.backend.signatures)
    assert found.failure_class is FailureClass.BROKEN
    assert not ACCOUNT.search(found.reason)


@pytest.mark.parametrize("name", REFUSING)
async def test_wrong_credentials_are_refused_and_dropped(name: str) -> None:
    async with scene_of(name, is_wrong=True) as scene:
        await scene.awake()
        found = diagnose(await scene.failure(asking("COUNT 2")), scene.backend.signatures)
        probed = diagnose(await scene.failure(None), scene.backend.signatures)
    assert (found.failure_class, probed.failure_class) == (FailureClass.BROKEN, FailureClass.BROKEN)
    assert scene.ring.rejections == 2


@pytest.mark.parametrize("fault", ["reset", "half-frame"])
@by_wire(STREAMING)
async def test_a_stream_that_is_cut_may_have_done_the_work(name: str, fault: str) -> None:
    async with scene_of(name, rate=2000) as scene:
        await scene.awake()
        failure = await scene.failure(asking(f"FAIL {fault} @20 COUNT 40"))
    assert failure.text_received
    assert diagnose(failure, scene.backend.signatures).failure_class is FailureClass.INDETERMINATE


@by_wire(STREAMING)
async def test_a_backend_sees_at_once_that_its_caller_left(name: str) -> None:
    async with scene_of(name, rate=20) as scene:
        await scene.awake()
        async with scene.client.stream(asking("COUNT 500")) as pieces:
            await anext(pieces)
        async with asyncio.timeout(GUARD_S):
            await scene.last.ended.wait()
        assert scene.last.outcome == "closed"
        assert scene.served.systems.instances[name].busy == 0


@by_wire(STREAMING)
async def test_silence_after_text_ends_the_call(name: str) -> None:
    async with scene_of(name, rate=4) as scene:
        await scene.awake()
        scene.client.silence_s = 0.1
        failure = await scene.failure(asking("COUNT 20"))
    assert failure.kind is FailureKind.READ_TIMEOUT


@by_wire(STREAMING)
async def test_an_answer_without_text_ends_with_the_request_timeout(name: str) -> None:
    async with scene_of(name) as scene:
        await scene.awake()
        limits = replace(scene.backend.limits, request_timeout_s=0.3)
        scene.client.backend = replace(scene.backend, limits=limits)
        failure = await scene.failure(asking("FAIL hang-after COUNT 20"))
    assert failure.kind is FailureKind.READ_TIMEOUT


@by_wire(SYSTEMS)
async def test_an_answer_that_reaches_its_limit_is_cut_off(name: str) -> None:
    async with scene_of(name) as scene:
        await scene.awake()
        end = end_of(await scene.pieces(asking("COUNT 40", max_output_tokens=16)))
    assert end.reason == ("stop" if name in UNCOUNTED else "length")


@pytest.mark.parametrize("choice", [ToolChoice.AUTO, ToolChoice.REQUIRED])
@by_wire(SYSTEMS)
async def test_a_function_is_called_by_choice_and_by_force(name: str, choice: ToolChoice) -> None:
    tools = ToolConfig(functions=(LOOK, FIND), tool_choice=choice)
    async with scene_of(name) as scene:
        await scene.awake()
        if Capability.TOOLS in scene.backend.inexpressible:
            assert (await scene.failure(asking("CALL look", tools=tools))).kind is FailureKind.INEXPRESSIBLE
            return
        text = "CALL look" if choice is ToolChoice.AUTO else "anything"
        end = end_of(await scene.pieces(asking(text, tools=tools)))
    ((called,)) = end.calls
    assert (called.name, [*json.loads(called.arguments)]) == ("look", ["n"])
    assert called.call_id


@by_wire(SYSTEMS)
async def test_an_answer_follows_its_schema(name: str) -> None:
    form = OutputFormat(kind=OutputFormatKind.JSON_SCHEMA, name="answer", schema=SCHEMA, strict=True)
    async with scene_of(name) as scene:
        await scene.awake()
        request = asking("anything", tools=ToolConfig(format=form))
        if Capability.JSON_SCHEMA in scene.backend.inexpressible:
            assert (await scene.failure(request)).kind is FailureKind.INEXPRESSIBLE
            return
        answer = await scene.pieces(request)
    assert [*json.loads(text_of(answer))] == ["n"]


@by_wire(SYSTEMS)
async def test_an_image_arrives_whole(name: str) -> None:
    async with scene_of(name) as scene:
        await scene.awake()
        if Capability.VISION in scene.backend.inexpressible:
            assert (await scene.failure(asking("Look.", [PIXEL]))).kind is FailureKind.INEXPRESSIBLE
            return
        answer = await scene.pieces(asking("Look.", [PIXEL]))
    assert "[image/png, 12 bytes]" in text_of(answer)


@by_wire(SYSTEMS)
async def test_an_answer_is_continued_where_the_wire_allows_it(name: str) -> None:
    async with scene_of(name) as scene:
        await scene.awake()
        if scene.backend.adapter is Adapter.RESPONSES or name == "azure-ml-score":
            return
        scene.client.backend = replace(scene.backend, continues=ContinuationMode.ASSISTANT_PREFILL)
        scene.client.wire.backend = scene.client.backend  # pyright: ignore[reportAttributeAccessIssue] - all have one
        answer = await scene.pieces(asking("COUNT 5", partial="1 2 3"))
    assert text_of(answer) == " 4 5"
