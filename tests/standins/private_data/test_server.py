"""Does the stand-in of a search find documents by their words and their owner, and nothing of another?"""

from typing import Any

import pytest

from standins.issuer.entra_tokens import guid_of
from standins.private_data.odata_filter import conditions_in
from standins.private_data.server import search_results

TENANT = guid_of("tenant", "contoso")
ALICE = guid_of("user", "contoso/alice")
OWN = f"tenant eq '{TENANT}' and account eq '{ALICE}'"


def found(search: str, filter_: str = OWN, **more: Any) -> list[str]:
    results = search_results({"search": search, **more}, conditions_in(filter_))
    return [str(each["id"]) for each in results]


def test_only_documents_of_the_owner_are_found() -> None:
    everyones, own = set(found("*", "")), set(found("*"))
    assert own < everyones
    assert "D-11" in own
    assert found("*", f"tenant eq '{TENANT}' and account eq '{guid_of('user', 'contoso/nobody')}'") == []


def test_the_most_matches_come_first_and_a_document_without_any_does_not_come() -> None:
    ids = found("warranty TELESCOPE months")
    assert ids[0] == "D-11"
    assert "D-11" not in found("return code")
    assert found("xylophone") == []
    scores = [each["@search.score"] for each in search_results({"search": "warranty goods"}, conditions_in(OWN))]
    assert scores == sorted(scores, reverse=True)


def test_a_search_is_limited_to_its_number_and_to_its_fields() -> None:
    assert len(found("*", top=1)) == 1
    (first, *_) = search_results({"search": "*", "select": "id,title,colour"}, conditions_in(OWN))
    assert set(first) == {"@search.score", "id", "title"}


@pytest.mark.parametrize("name", ["tenant", "account"])
def test_a_result_shows_whose_it_is(name: str) -> None:
    assert {each[name] for each in search_results({}, conditions_in(OWN))} == {TENANT if name == "tenant" else ALICE}
