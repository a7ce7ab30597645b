"""Which tools do the sources of private data give, how large are their results, and who may search them?"""

from copy import replace
from typing import Any

import pytest

from domain.content.tools import FunctionTool, OfferedServer, ToolConfig
from domain.errors import ConfigurationError
from domain.identity.owners import Owner
from domain.sources.catalog import NAMED, Source, SourceKind, Sources
from domain.sources.file_search import SEARCH_SERVER, SEARCH_TOOL
from domain.tools.catalog import ServerKind, ToolServer, ToolServers
from domain.tools.source_tools import (
    AROUND_TOKENS,
    BLOB,
    MOST_RESULTS,
    NO_WORDS,
    ROW_TOKENS,
    WORDS,
    as_offered,
    most_results,
    read_by_tools,
    search_server,
    searched_sources,
    source_tool,
    with_source_tools,
)
from tests.fakes.tools import shop

LETTERS = Source(name="letters", kind=SourceKind.HTTP, keywords=3, max_rows=2, max_tokens=300, is_tool=True)
CASES = Source(name="cases", kind=SourceKind.HTTP, max_rows=1, max_tokens=100, is_tool=True, description="All cases.")
PLAIN = Source(name="plain", kind=SourceKind.HTTP, keywords=3)
SOURCES = Sources(known={each.name: each for each in (LETTERS, CASES, PLAIN)})
RECORDS = '[servers.records]\nkind = "sources"\n'
OWNER, STRANGER = Owner(tenant="one", subject="user:1"), Owner(tenant="two", subject="user:1")


def searching(*names: str, most: int | None = None) -> OfferedServer:
    request: dict[str, Any] = {"vector_store_ids": list(names)} | ({"max_num_results": most} if most else {})
    return OfferedServer(label=SEARCH_SERVER, request=request)


def records(names: str = "", sources: Sources = SOURCES) -> ToolServers:
    return with_source_tools(shop(f"{RECORDS}sources = [{names}]" if names else RECORDS), sources)


def test_a_server_that_names_no_sources_has_all_that_are_tools() -> None:
    servers = records()
    assert set(servers.known) == {"records", SEARCH_SERVER}
    assert set(servers.known["records"].tools) == {"letters", "cases"}
    assert set(records('"cases"').known["records"].tools) == {"cases"}


def test_a_server_names_only_sources_that_are_tools() -> None:
    for name in ("plain", "unknown"):
        message = f"servers.records.sources: expected names of sources with tool = true, found '{name}'"
        with pytest.raises(ConfigurationError, match=message):
            records(f'"{name}"')


def test_a_server_whose_sources_are_not_configured_is_left_out() -> None:
    servers = records('"lost"', Sources(known={"cases": CASES}, unconfigured=frozenset({"lost"})))
    assert servers.known == {}
    assert "records" in servers.unconfigured


def test_nothing_is_searched_where_no_source_takes_words() -> None:
    assert SEARCH_SERVER not in records(sources=Sources(known={"cases": CASES})).known


def test_a_server_of_another_kind_stays_as_it_is() -> None:
    before = shop()
    assert with_source_tools(before, SOURCES).known["shop"] == before.known["shop"]


def test_a_source_is_a_search_a_lookup_or_a_file_by_its_name() -> None:
    blob = replace(LETTERS, kind=SourceKind.BLOB, path=f"files/{NAMED}")
    letters, cases, file = (source_tool(each) for each in (LETTERS, CASES, blob))
    assert [each.parameters for each in (letters, cases, file)] == [WORDS, NO_WORDS, BLOB]
    assert letters.description == "The rows of letters. Searches the user's own rows."
    assert cases.description == "All cases. Returns the user's own rows."


def test_a_result_has_room_for_the_tokens_of_its_rows_and_what_is_around_them() -> None:
    assert source_tool(LETTERS).max_result_tokens == AROUND_TOKENS + 300 + 2 * ROW_TOKENS
    slow = replace(LETTERS, name="slow", deadline_s=9.0)
    search = search_server([LETTERS, slow]).tools[SEARCH_TOOL]
    assert search.max_result_tokens == AROUND_TOKENS + 2 * (300 + 2 * ROW_TOKENS)
    assert search.timeout_s == 9.0
    assert "letters; slow" in search.description


def test_a_request_searches_each_source_once_and_none_that_its_owner_may_not() -> None:
    closed = replace(LETTERS, name="closed", tenants=frozenset({"one"}))
    sources = Sources(known={**SOURCES.known, "closed": closed})
    assert searched_sources(sources, OWNER, ["closed", "letters", "closed"]) == [closed, LETTERS]
    for owner, name in ((STRANGER, "closed"), (OWNER, "cases"), (OWNER, "plain"), (OWNER, "unknown")):
        with pytest.raises(KeyError, match=name):
            searched_sources(sources, owner, ["letters", name])


def test_a_search_reads_what_its_request_names_and_no_more_rows_than_that() -> None:
    server = search_server([LETTERS, replace(LETTERS, name="notes")])
    tool = server.tools[SEARCH_TOOL]
    offered = as_offered(ToolConfig(servers=(searching("notes", most=5),)), server, tool)
    assert (set(offered.sources), offered.max_rows) == ({"notes"}, 5)
    assert offered.max_result_tokens == AROUND_TOKENS + 300 + 2 * ROW_TOKENS
    assert as_offered(ToolConfig(), server, tool).sources == {}
    other = ToolServer(label="records", kind=ServerKind.SOURCES, address="", tools={})
    assert as_offered(ToolConfig(), other, tool) is tool


def test_a_search_without_a_number_of_results_has_the_most() -> None:
    assert most_results(ToolConfig(servers=(searching("notes"),))) == MOST_RESULTS
    assert most_results(ToolConfig(servers=(searching("notes", most=1),))) == 1
    assert most_results(ToolConfig()) == MOST_RESULTS


def test_what_the_tools_of_a_turn_read_is_not_read_beforehand() -> None:
    servers = with_source_tools(shop(f'{RECORDS}sources = ["cases"]\n'), SOURCES)
    functions = tuple(
        FunctionTool(name=name, server=server)
        for server, name in (("records", "cases"), (SEARCH_SERVER, SEARCH_TOOL), ("gone", "x"), ("", "own"))
    )
    config = ToolConfig(functions=functions, servers=(searching("letters"),))
    assert read_by_tools(config, servers) == {"cases", "letters"}
    assert read_by_tools(ToolConfig(), servers) == frozenset()
