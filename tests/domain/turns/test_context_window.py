"""Does the context fit, lose its oldest turns first, and keep what lasts?"""

from hypothesis import given
from hypothesis import strategies as st

from domain.content.items import Item, ItemKind, Role
from domain.tokens.estimates import tokens_in_request
from domain.turns.context_window import Turn, WindowRoom, items_read, turns_to_leave_out

items = st.builds(
    Item,
    id=st.just("i"),
    kind=st.sampled_from(ItemKind),
    role=st.sampled_from(Role),
    text=st.text(max_size=60),
    call_id=st.sampled_from(["a", "b"]),
)
turns = st.lists(items, max_size=3).map(tuple)
pasts = st.lists(turns, max_size=12)


def said(text: str, role: Role = Role.USER) -> Item:
    return Item(id="i", role=role, text=text)


def size(instructions: str, read: Turn) -> int:
    return tokens_in_request([instructions, *(item.prompt_text for item in read)]).likely


@given(pasts, turns, st.text(max_size=30), st.integers(0, 600))
def test_what_is_read_fits_or_no_past_turn_is_left_to_leave_out(
    past: list[Turn], new: Turn, told: str, room: int
) -> None:
    left_out = turns_to_leave_out(past, new, instructions=told, room=WindowRoom(tokens=room))
    read = items_read(past, new, left_out=left_out)
    assert size(told, read) <= room or left_out == len(past)


@given(pasts, turns, st.integers(0, 600))
def test_no_more_is_left_out_than_must_be(past: list[Turn], new: Turn, room: int) -> None:
    left_out = turns_to_leave_out(past, new, instructions="", room=WindowRoom(tokens=room))
    if left_out:
        lasting = [item for turn in past[: left_out - 1] for item in turn if item.role in (Role.SYSTEM, Role.DEVELOPER)]
        messages = [item for item in lasting if item.kind is ItemKind.MESSAGE]
        whole = (*messages, *(item for turn in past[left_out - 1 :] for item in turn), *new)
        assert size("", whole) > room


@given(pasts, turns)
def test_with_room_enough_everything_is_read_except_calls_without_a_result(past: list[Turn], new: Turn) -> None:
    assert turns_to_leave_out(past, new, instructions="", room=WindowRoom(tokens=10**9)) == 0
    whole = [item for turn in (*past, new) for item in turn]
    answered = {item.call_id for item in whole if item.kind is ItemKind.FUNCTION_OUTPUT}
    earlier = [item for turn in past for item in turn]
    kept = [item for item in earlier if item.kind is not ItemKind.FUNCTION_CALL or item.call_id in answered]
    assert items_read(past, new, left_out=0) == (*kept, *new)


def test_what_the_system_said_stays_and_an_output_goes_with_its_call() -> None:
    call = Item(id="i", kind=ItemKind.FUNCTION_CALL, name="f", call_id="c", text="{}")
    output = Item(id="i", kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, call_id="c", text="4")
    past = [(said("be kind", Role.SYSTEM), said("old"), call), (output, said("four", Role.ASSISTANT))]
    read = items_read(past, (said("new"),), left_out=1)
    assert [item.text for item in read] == ["be kind", "four", "new"]
