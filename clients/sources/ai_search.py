"""How do we ask Azure AI Search?

POST {service}/indexes('{index}')/docs/search.post.search is its OData name; the REST reference gives it as
POST {service}/indexes/{index}/docs/search?api-version=2024-07-01
(https://learn.microsoft.com/rest/api/searchservice/documents/search-post).
"""

from collections.abc import Iterator, Mapping, Sequence

from clients.sources.egress import PinnedClient, bearer
from clients.sources.port import Row, SourceError, SourceTokens, rows_in
from domain.sources.catalog import Source, SourceQuery

VERSION = "2024-07-01"
DELIMITER = "|"


class AiSearch:
    """Reads the documents of an index that the caller's claims let through, best first."""

    def __init__(self, caller: PinnedClient, tokens: SourceTokens) -> None:
        self.caller = caller
        self.tokens = tokens

    async def rows(self, source: Source, ask: SourceQuery) -> Sequence[Row]:
        body = search_body(source, ask)
        headers = await bearer(self.tokens, source.scope)
        path = f"/indexes/{source.target[0]}/docs/search"
        query = (("api-version", VERSION),)
        data = await self.caller.call(source, "POST", path, query=query, body=body, headers=headers)
        return [{name: row[name] for name in row if not name.startswith("@")} for row in rows_in(data, ("value",))]


def search_body(source: Source, ask: SourceQuery) -> Mapping[str, object]:
    """Return the search; keywords are words alone, so that the simple syntax has no operator to read in them."""
    body: dict[str, object] = {
        "search": " ".join(ask.keywords) or "*",
        "queryType": "simple",
        "searchMode": "any",
        "top": source.max_rows + 1,
        "filter": " and ".join(conditions(ask)),
    }
    return body | ({"select": ",".join(source.fields)} if source.fields else {})


def conditions(ask: SourceQuery) -> Iterator[str]:
    """Yield the conditions of the filter: a claim of one value must be the field's, of several among the field's."""
    for name, value in ask.parameters.items():
        if isinstance(value, str):
            yield f"{name} eq {literal(value)}"
        else:
            yield f"{name}/any(each: search.in(each, {among(value)}, '{DELIMITER}'))"


def literal(text: str) -> str:
    """Return a string of OData: a quote in it is doubled."""
    return "'" + text.replace("'", "''") + "'"


def among(values: Sequence[str]) -> str:
    if any(DELIMITER in value for value in values):
        raise SourceError("a claim of the caller can't be filtered by")
    return literal(DELIMITER.join(values))
