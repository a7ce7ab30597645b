"""Which turns may take over an answer, which have the same key, and why are others refused?"""

from decimal import Decimal
from typing import Any

import pytest

from api.parsing.responses_request import TurnRequest, request_from_openai
from api.turns.admission_plan import AdmissionPlan
from api.turns.caching.answer_keys import AnswerKey, AnswerKeys
from api.turns.history import ModelInput
from api.turns.planner import TurnCosts
from domain.content.items import Item, Role
from domain.content.tools import FunctionTool, ToolConfig
from domain.errors import Invalid
from domain.identity.owners import Owner
from tests.api.turns.test_planner import planner
from tests.fakes.worlds import OWNER

READ = FunctionTool(name="find", server="shop")
WRITE = FunctionTool(name="refund", server="shop", writes=True)


def keys(longest_s: float = 3600.0) -> AnswerKeys:
    reads_nothing: Any = None
    return AnswerKeys(planner=planner(), reader=reads_nothing, longest_s=longest_s)


def request(cache_s: str = "60", **fields: Any) -> TurnRequest:
    return request_from_openai({"input": "hi", "temperature": 0, "metadata": {"cache_s": cache_s}, **fields})


def plan(*tools: FunctionTool, text: str = "hi") -> AdmissionPlan:
    items = (Item(id="msg_1", role=Role.USER, text=text),)
    return AdmissionPlan(
        items=items,
        sources=(),
        model_input=ModelInput(items=items, left_out=0, results_out=0, images=0, reads_before=0, history_index=None),
        tool_config=ToolConfig(functions=tools),
        costs=TurnCosts(Decimal(0), Decimal(0)),
    )


async def key(one: TurnRequest, planned: AdmissionPlan | None = None, owner: Owner = OWNER) -> AnswerKey:
    found = await keys().key_of(owner, one, planned or plan())
    assert found is not None
    return found


async def test_a_turn_that_does_not_ask_has_no_key_whatever_it_does() -> None:
    assert await keys(0.0).key_of(OWNER, request_from_openai({"input": "hi"}), plan(WRITE)) is None


async def test_the_same_request_has_the_same_key_however_old_an_answer_may_be() -> None:
    first, second = await key(request()), await key(request("3600"), plan())
    assert (first.use.key, first.use.max_age_s, second.use.max_age_s) == (second.use.key, 60.0, 3600.0)


async def test_whatever_a_model_reads_is_in_the_key() -> None:
    owner = Owner(tenant=OWNER.tenant, subject="user:other")
    found = [
        await key(request()),
        await key(request(instructions="be brief")),
        await key(request(model="small")),
        await key(request(max_output_tokens=16)),
        await key(request(top_p=0.5)),
        await key(request(), plan(text="hello")),
        await key(request(), plan(READ)),
        await key(request(), owner=owner),
    ]
    assert len({each.use.key for each in found}) == len(found)


@pytest.mark.parametrize(
    ("longest_s", "one", "planned", "why"),
    [
        (0.0, request(), plan(), "this service keeps no answers"),
        (59.0, request(), plan(), "an answer may be 59 s old at most"),
        (60.0, request(temperature=0.1), plan(), "only an answer with 'temperature' 0"),
        (60.0, request(temperature=None), plan(), "only an answer with 'temperature' 0"),
        (60.0, request(), plan(READ, WRITE), "the answer of a turn with tools that write is never reused"),
    ],
)
def test_a_turn_that_can_have_none_is_told_why(
    longest_s: float, one: TurnRequest, planned: AdmissionPlan, why: str
) -> None:
    with pytest.raises(Invalid) as caught:
        keys(longest_s).check(one, planned)
    assert (caught.value.field, caught.value.code) == ("metadata.cache_s", "unsupported_value")
    assert why in str(caught.value)


def test_the_limit_itself_is_allowed_and_so_are_tools_of_the_caller_that_write() -> None:
    keys(60.0).check(request(), plan(READ, FunctionTool(name="mine", writes=True)))
