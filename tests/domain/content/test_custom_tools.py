"""Under which names are tools offered, and is the input of a custom tool the same on both sides?"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content.custom_tools import (
    NAME_LIMIT,
    CustomInput,
    ToolNamespace,
    custom_arguments,
    custom_text,
    flat_name,
    offered_name,
)


def test_a_name_has_its_namespace_before_it() -> None:
    assert (flat_name("find", ""), flat_name("find", "shop")) == ("find", "shop__find")


@given(tool=st.text(min_size=1, max_size=80), server=st.text("abc-", min_size=1, max_size=80))
def test_every_offered_name_is_one_that_every_api_accepts(tool: str, server: str) -> None:
    name = offered_name(tool, server)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)
    assert (name == f"{server}__{tool}") is bool(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", f"{server}__{tool}"))


def test_names_that_differ_only_in_odd_signs_or_behind_the_limit_stay_apart() -> None:
    assert offered_name("a.b", "shop") != offered_name("a/b", "shop")
    assert offered_name("a" * 90, "shop") != offered_name("a" * 91, "shop")
    assert len(offered_name("a" * NAME_LIMIT, "shop")) == NAME_LIMIT


@given(text=st.text())
def test_the_input_of_a_custom_tool_is_read_again(text: str) -> None:
    assert custom_text(custom_arguments(text)) == text


@pytest.mark.parametrize("arguments", ["no JSON", "[]", "{}", '{"input": 5}', '"input"'])
def test_arguments_without_an_input_are_the_input(arguments: str) -> None:
    assert custom_text(arguments) == arguments


def test_a_model_is_told_the_grammar() -> None:
    assert CustomInput().instructions == "'input' is the whole input, as plain text."
    told = CustomInput(syntax="lark", grammar="start: /a/").instructions
    assert told.endswith("It must match this lark grammar:\nstart: /a/")


def test_both_are_read_as_they_were_written() -> None:
    custom, group = CustomInput(syntax="regex", grammar="a+"), ToolNamespace(name="shop", description="Sells.")
    assert CustomInput.from_document(custom.to_document()) == custom
    assert ToolNamespace.from_document(group.to_document()) == group
