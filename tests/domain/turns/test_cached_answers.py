"""Do equal keys of answers mean equal requests of one owner, and is a copied answer the same answer?"""

from copy import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.content.items import Item, ItemKind, ItemStatus, Role
from domain.content.tools import OutputFormat, OutputFormatKind, ToolConfig
from domain.identity.owners import Owner
from domain.ids import thread_of
from domain.log.copied_answers import after_events, copied_events
from domain.log.token_logprobs import TokenLogprob, TokenOption
from domain.log.transcript import Transcript, kept_items
from domain.turns.cached_answers import ReadByModel, can_be_copied
from domain.turns.response import Sampling
from tests.checks import every

TEXTS = st.text(max_size=8)
THREAD = "d" * 24
OWNERS = st.builds(Owner, tenant=TEXTS, subject=TEXTS)
INPUTS = st.builds(
    Item,
    id=TEXTS,
    role=st.sampled_from(Role),
    text=TEXTS,
    kind=st.sampled_from((ItemKind.MESSAGE, ItemKind.FUNCTION_OUTPUT, ItemKind.MCP_CALL)),
    output=st.none() | TEXTS,
)
TOOLS = st.builds(
    ToolConfig, format=st.builds(OutputFormat, kind=st.sampled_from(OutputFormatKind)), parallel=st.booleans()
)
READ = st.builds(
    ReadByModel,
    models=st.lists(st.tuples(TEXTS, TEXTS), max_size=2),
    instructions=st.none() | TEXTS,
    items=st.lists(INPUTS, max_size=2),
    rows=TEXTS,
    tools=TOOLS,
    sampling=st.builds(Sampling, temperature=st.just(0.0), top_p=st.none() | st.floats(0, 1)),
    output_tokens=st.integers(1, 3),
)
NAMES = st.uuids().map(str)
WRITTEN = TEXTS.filter(bool)
REASONED = st.builds(Item, id=NAMES, kind=st.just(ItemKind.REASONING), text=WRITTEN)
CALLED = st.builds(
    Item, id=NAMES, kind=st.just(ItemKind.FUNCTION_CALL), text=WRITTEN, name=st.just("look"), call_id=WRITTEN
)
SAID = st.builds(Item, id=NAMES, text=TEXTS, refusal=TEXTS)
ANSWERS = st.tuples(st.lists(REASONED, max_size=1), SAID, st.lists(CALLED, max_size=2)).map(
    lambda parts: (*parts[0], parts[1], *parts[2])
)


def parts_of(read: ReadByModel) -> Any:
    """Return what has to be equal where two keys are: everything but the ids of items and the order of models."""
    items = [replace(item, id="") for item in read.items]
    return replace(read, models=sorted(read.models), items=items)


@given(one=READ, other=READ, owner=OWNERS)
def test_keys_are_equal_where_all_that_is_read_is(one: ReadByModel, other: ReadByModel, owner: Owner) -> None:
    assert (one.key(owner) == other.key(owner)) == (parts_of(one) == parts_of(other))


@given(read=READ, one=OWNERS, other=OWNERS)
def test_no_key_of_one_owner_is_that_of_another(read: ReadByModel, one: Owner, other: Owner) -> None:
    assert (read.key(one) == read.key(other)) == ((one.tenant, one.subject) == (other.tenant, other.subject))


@given(read=READ, changed=READ, field=st.sampled_from(("instructions", "items", "rows", "tools", "output_tokens")))
def test_a_change_of_one_part_changes_the_key(read: ReadByModel, changed: ReadByModel, field: str) -> None:
    owner = Owner(tenant="t", subject="s")
    other = replace(read, **{field: getattr(changed, field)})
    assert (read.key(owner) == other.key(owner)) == (parts_of(read) == parts_of(other))


@given(items=ANSWERS)
def test_a_copied_answer_says_the_same_under_ids_of_its_own_thread(items: tuple[Item, ...]) -> None:
    first = Transcript(items=items)
    numbers = iter(range(100))
    events = copied_events(first, Transcript(), thread=THREAD, new_token=lambda: f"{next(numbers):024x}")
    copied = after_events(Transcript(), events)
    assert [replace(item, id="") for item in kept_items(copied)] == [replace(item, id="") for item in items]
    assert {thread_of(item.id) for item in copied.items} == {THREAD}
    assert every(item.status is ItemStatus.COMPLETED for item in copied.items)


def test_reasoning_that_was_given_up_for_a_better_models_is_not_copied() -> None:
    given_up, kept = (Item(id=text, kind=ItemKind.REASONING, text=text) for text in ("first", "second"))
    first = Transcript(items=(given_up, kept, Item(id="msg", text="said")))
    numbers = iter(range(100))
    events = copied_events(first, Transcript(), thread=THREAD, new_token=lambda: f"{next(numbers):024x}")
    assert [item.text for item in after_events(Transcript(), events).items] == ["second", "said"]


def test_an_answer_that_has_called_tools_of_servers_is_no_answer_for_others() -> None:
    said = Item(id="msg", text="said")
    called = Item(id="mcp", kind=ItemKind.MCP_CALL, text="{}", server="shop")
    listed = Item(id="mcpl", kind=ItemKind.MCP_TOOLS, server="shop")
    assert can_be_copied(Transcript(items=(listed, said)))
    assert not can_be_copied(Transcript(items=(listed, called, said)))
    assert not can_be_copied(Transcript(items=(replace(said, text="x" * 300_000),)))
    assert not can_be_copied(Transcript())


def test_an_answer_whose_log_probabilities_do_not_fit_one_commit_is_no_answer_for_others() -> None:
    said, token = Item(id="msg", text="said"), TokenOption("said", -0.1, b"said")
    few = (TokenLogprob(chosen=token, options=(token,) * 20),)
    assert can_be_copied(Transcript(items=(said,), logprobs={"msg": few}))
    assert not can_be_copied(Transcript(items=(said,), logprobs={"msg": few * 3000}))
