"""Which servers, searches and items of theirs does a caller name, and which field is wrong otherwise?"""

from typing import Any

import pytest

from api.parsing.server_tools import (
    EXECUTION_ERROR,
    OWN_ACCESS,
    SearchCallInput,
    ServerCallInput,
    ServerChoice,
    ServerToolsInput,
    check_labels,
    read_search,
    read_server,
    read_server_choices,
)
from domain.content.items import ItemKind, ItemStatus
from domain.errors import Invalid
from domain.sources.file_search import SEARCH_SERVER
from domain.tools.catalog import ServerTool, ToolEffect

type Json = dict[str, Any]

AT = ("tools", 1)
SHOP: Json = {"type": "mcp", "server_label": "shop"}
READ = ServerTool(name="find", effect=ToolEffect.READ)
WRITE = ServerTool(name="refund", effect=ToolEffect.WRITE)


def rejection(body: Json) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read_server(body, AT)
    return caught.value


@pytest.mark.parametrize("name", [*OWN_ACCESS, "defer_loading"])
def test_what_the_operator_configures_is_no_field_of_a_caller(name: str) -> None:
    error = rejection(SHOP | {name: "x"})
    assert (error.field, error.code) == (f"tools[1].{name}", "unsupported_parameter")
    assert read_server(SHOP | {name: None}, AT).body == SHOP


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"server_label": ""}, "tools[1].server_label"),
        ({"server_label": "a" * 65}, "tools[1].server_label"),
        ({"server_url": 1}, "tools[1].server_url"),
        ({"allowed_tools": [""]}, "tools[1].allowed_tools.tool_names[0]"),
        ({"allowed_tools": {"read_only": "yes"}}, "tools[1].allowed_tools.read_only"),
        ({"require_approval": {"always": {"tool_names": "find"}}}, "tools[1].require_approval.always.tool_names"),
    ],
)
def test_a_wrong_field_of_a_server_is_named(more: Json, field: str) -> None:
    assert rejection(SHOP | more).field == field


def test_a_server_shows_what_the_caller_sent_and_no_unknown_field() -> None:
    sent = SHOP | {"server_url": "https://shop.example", "server_description": "Sells.", "allowed_tools": ["find"]}
    read = read_server(sent | {"colour": "red", "require_approval": None}, AT)
    assert (read.body, read.url, read.approval) == (sent, "https://shop.example", None)
    assert read.field("server_url") == "tools[1].server_url"


@pytest.mark.parametrize(
    ("allowed", "read", "write"),
    [
        ([], False, False),
        (["find"], True, False),
        ({}, True, True),
        ({"read_only": True}, True, False),
        ({"read_only": False}, False, True),
        ({"read_only": True, "tool_names": ["refund"]}, False, False),
    ],
)
def test_a_filter_has_names_and_effects(allowed: Any, read: bool, write: bool) -> None:  # noqa: FBT001 - a table
    found = read_server(SHOP | {"allowed_tools": allowed}, AT).allowed
    assert found is not None
    assert (found.matches(READ), found.matches(WRITE)) == (read, write)


@pytest.mark.parametrize(
    ("wanted", "read", "write"),
    [
        ("always", True, True),
        ("never", False, False),
        ({}, False, False),
        ({"always": ["find"]}, True, False),
        ({"never": ["find"]}, False, True),
        ({"never": {"read_only": True}}, False, True),
        ({"always": ["find"], "never": ["find"]}, True, False),
        ({"always": ["find"], "never": []}, True, False),
    ],
)
def test_never_alone_wants_an_approval_for_all_other_tools(wanted: Any, read: bool, write: bool) -> None:  # noqa: FBT001
    found = read_server(SHOP | {"require_approval": wanted}, AT).approval
    assert found is not None
    assert (found.requires(READ), found.requires(WRITE)) == (read, write)


def test_a_label_that_occurs_twice_is_named_at_its_first_place() -> None:
    other = read_server(SHOP | {"server_label": "bank"}, ("tools", 0))
    twice = [other, read_server(SHOP, AT), read_server(SHOP, ("tools", 2))]
    check_labels(twice[:2])
    with pytest.raises(Invalid) as caught:
        check_labels(twice)
    assert (caught.value.field, caught.value.code) == ("tools[1].server_label", "invalid_value")


def test_a_search_shows_its_stores_and_its_limit() -> None:
    sent = {"type": "file_search", "vector_store_ids": ["crm", "letters"]}
    read = read_search(sent | {"other": 1}, AT)
    assert (read.names, read.body) == (("crm", "letters"), sent)
    assert read_search(sent | {"max_num_results": 50}, AT).body == sent | {"max_num_results": 50}


@pytest.mark.parametrize(
    ("more", "field", "code"),
    [
        ({"vector_store_ids": []}, "tools[1].vector_store_ids", "invalid_value"),
        ({"vector_store_ids": None}, "tools[1].vector_store_ids", "missing_required_parameter"),
        ({"vector_store_ids": ["a"] * 21}, "tools[1].vector_store_ids", "invalid_value"),
        ({"vector_store_ids": ["a", ""]}, "tools[1].vector_store_ids[1]", "invalid_value"),
        ({"max_num_results": 0}, "tools[1].max_num_results", "invalid_value"),
        ({"max_num_results": 51}, "tools[1].max_num_results", "invalid_value"),
        ({"filters": {}}, "tools[1].filters", "unsupported_parameter"),
        ({"ranking_options": {}}, "tools[1].ranking_options", "unsupported_parameter"),
    ],
)
def test_a_wrong_field_of_a_search_is_named(more: Json, field: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_search({"type": "file_search", "vector_store_ids": ["crm"], **more}, AT)
    assert (caught.value.field, caught.value.code) == (field, code)


@pytest.mark.parametrize("choice", [None, "auto", "required", [SHOP], {"type": "function", "name": "shop"}, {}])
def test_a_choice_without_a_server_names_none(choice: Any) -> None:
    assert read_server_choices(choice) == ()


def test_a_choice_names_a_server_one_of_its_tools_or_the_search() -> None:
    at = ("tool_choice",)
    assert read_server_choices(SHOP) == (ServerChoice(label="shop", name=None, path=at),)
    assert read_server_choices(SHOP | {"name": "find"}) == (ServerChoice(label="shop", name="find", path=at),)
    assert read_server_choices({"type": "file_search"}) == (ServerChoice(label=SEARCH_SERVER, name=None, path=at),)


def test_servers_among_the_allowed_tools_are_named_with_their_places() -> None:
    listed = [{"type": "function", "name": "a"}, "x", SHOP | {"name": "find"}, {"type": "file_search"}]
    found = read_server_choices({"type": "allowed_tools", "mode": "auto", "tools": listed})
    assert [(each.label, each.name, each.path) for each in found] == [
        ("shop", "find", ("tool_choice", "tools", 2)),
        (SEARCH_SERVER, None, ("tool_choice", "tools", 3)),
    ]
    assert read_server_choices({"type": "allowed_tools", "tools": "shop"}) == ()


def test_a_choice_without_its_label_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        read_server_choices({"type": "allowed_tools", "tools": [{"type": "mcp"}]})
    assert caught.value.field == "tool_choice.tools[0].server_label"


def test_a_list_of_tools_becomes_an_item() -> None:
    read = ServerToolsInput(server_label="shop", tools=[{"name": "find"}], error="down")  # type: ignore[arg-type]
    item = read.item()
    assert (item.kind, item.server, item.output) == (ItemKind.MCP_TOOLS, "shop", '[{"name": "find"}]')
    assert item.error == {"message": "down"}


@pytest.mark.parametrize(
    ("error", "told", "status"),
    [
        (None, None, ItemStatus.COMPLETED),
        ("no such order", {"type": EXECUTION_ERROR, "content": "no such order"}, ItemStatus.FAILED),
        ({"type": "http_error", "code": 404}, {"type": "http_error", "code": 404}, ItemStatus.FAILED),
    ],
)
def test_a_call_of_a_server_becomes_an_item_that_failed_where_it_has_an_error(
    error: Any, told: Any, status: ItemStatus
) -> None:
    read = ServerCallInput(server_label="shop", name="find", arguments="{}", output=None, error=error)
    item = read.item()
    assert (item.kind, item.text, item.name, item.server) == (ItemKind.MCP_CALL, "{}", "find", "shop")
    assert (item.error, item.status, item.approval) == (told, status, "")


def test_a_search_that_failed_has_no_results() -> None:
    failed = SearchCallInput(queries=["order"], results=None, status="failed").item()
    found = SearchCallInput.model_validate({"queries": ["order"], "results": [{"text": "A-1"}]}).item()
    assert (failed.status, found.status) == (ItemStatus.FAILED, ItemStatus.COMPLETED)
    assert failed.server == found.server == SEARCH_SERVER
    assert "A-1" in (found.output or "")
