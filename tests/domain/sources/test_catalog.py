"""What of a request reaches a query, and what of its answer the model?"""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.sources.ai_search import search_body
from clients.sources.cosmos_query import parameters_of
from clients.sources.http_json import query_parameters
from clients.sources.sqlite_search import statement_of
from domain.identity.access_tokens import roles_of
from domain.identity.owners import Owner
from domain.sources.catalog import (
    CallerClaim,
    Source,
    SourceKind,
    SourceQuery,
    Sources,
    keywords_in,
    query_for,
)

OWNER = Owner(tenant="t-1", subject="user:o-1", roles=("reader", "writer"))
SOURCE = Source(
    name="orders",
    kind=SourceKind.HTTP,
    target=("documents",),
    parameters={"tenant": CallerClaim.TID, "account": CallerClaim.OID, "roles": CallerClaim.ROLES},
    keywords=4,
)

texts = st.text()


def asked(source: Source, text: str, owner: Owner = OWNER) -> SourceQuery:
    ask = query_for(source, owner, text)
    assert isinstance(ask, SourceQuery)
    return ask


def queries(source: Source, ask: SourceQuery) -> str:
    """Return all that any kind of source would be sent."""
    return json.dumps(
        [
            tuple(query_parameters(source, ask)),
            search_body(source, ask),
            parameters_of(source, ask),
            statement_of(source, ask),
        ]
    )


@given(texts)
def test_without_declared_keywords_no_text_of_a_request_reaches_a_query(text: str) -> None:
    silent = Source(name="orders", kind=SourceKind.HTTP, target=("documents",), parameters={"a": CallerClaim.OID})
    assert queries(silent, asked(silent, text)) == queries(silent, asked(silent, ""))


@given(texts)
def test_what_reaches_a_query_are_plain_words_of_the_text_up_to_their_number(text: str) -> None:
    ask = asked(SOURCE, text)
    assert len(ask.keywords) <= SOURCE.keywords
    assert all(re.fullmatch(r"[^\W_]{3,40}", word) for word in ask.keywords)  # may be empty: a text may have no word
    assert set(ask.keywords) <= {word.casefold() for word in re.findall(r"[^\W_]+", text)} | set(
        re.findall(r"[^\W_]{3,40}", text.casefold())
    ) | {found.casefold() for found in re.findall(r"[^\W_]{3,40}", text)}
    assert queries(SOURCE, ask) == queries(SOURCE, SourceQuery(parameters=ask.parameters, keywords=ask.keywords))


@pytest.mark.parametrize(
    "text", ['" OR 1=1 --', "x' or tid ne '", "a*b +c -d | e", '") MATCH NEAR(', "AND OR NOT", "{{system}}"]
)
def test_no_sign_of_a_query_language_comes_through(text: str) -> None:
    ask = asked(SOURCE, text)
    assert not set("".join(ask.keywords)) & set("\"'*+-|(){}=;: ")


def test_the_longest_words_are_searched_for_and_each_once() -> None:
    assert keywords_in("The telescope, the TELESCOPE and its warranty of a day!", 3) == ("telescope", "warranty", "the")


def test_a_quote_in_a_claim_stays_inside_its_text() -> None:
    odd = Owner(tenant="t' or tenant ne '", subject="user:o", roles=())
    source = Source(name="s", kind=SourceKind.AI_SEARCH, target=("i",), parameters={"tenant": CallerClaim.TID})
    assert search_body(source, asked(source, "", odd))["filter"] == "tenant eq 't'' or tenant ne '''"


def test_roles_are_filtered_by_as_a_list() -> None:
    source = Source(name="s", kind=SourceKind.AI_SEARCH, target=("i",), parameters={"roles": CallerClaim.ROLES})
    wanted = "roles/any(each: search.in(each, 'reader|writer', '|'))"
    assert search_body(source, asked(source, ""))["filter"] == wanted


def test_an_application_is_no_person_to_a_source() -> None:
    application = Owner(tenant="t-1", subject="app:o-1")
    assert query_for(SOURCE, application, "") == "the access token has no oid claim, which the source requires"


SOURCES = Sources(
    known={
        "orders": Source(name="orders", kind=SourceKind.HTTP, max_tokens=300),
        "ours": Source(name="ours", kind=SourceKind.HTTP, tenants=frozenset({"t-1"}), max_tokens=200),
        "theirs": Source(name="theirs", kind=SourceKind.HTTP, tenants=frozenset({"t-2"})),
    },
    defaults={"t-1": ("orders", "theirs", "unconfigured"), "*": ("orders",)},
)


@pytest.mark.parametrize(
    ("asked_for", "chosen"),
    [
        (None, ("orders",)),
        ("", ()),
        (" , ", ()),
        ("ours, orders,ours", ("ours", "orders")),
    ],
)
def test_a_turn_reads_what_it_names_else_what_its_tenant_does(asked_for: str | None, chosen: tuple[str, ...]) -> None:
    assert SOURCES.selected(OWNER, asked_for) == chosen


@pytest.mark.parametrize("name", ["theirs", "nobody's", "orders;ours", "*"])
def test_anothers_source_is_as_unknown_as_one_that_is_not_there(name: str) -> None:
    with pytest.raises(KeyError):
        SOURCES.selected(OWNER, f"orders,{name}")
    assert SOURCES.max_tokens(("orders", "ours")) == 500


@pytest.mark.parametrize(
    ("roles", "kept"), [(["b", "a", "b"], ("a", "b")), ("a", ()), ([1, "", "a"], ("a",)), (None, ())]
)
def test_roles_of_a_token_are_the_texts_that_it_lists(roles: object, kept: tuple[str, ...]) -> None:
    assert roles_of({"roles": roles}) == kept


def test_roles_are_no_part_of_who_the_owner_is() -> None:
    assert Owner(tenant="t-1", subject="user:o-1") == OWNER
