"""How are documents of Azure AI Search read?

POST {service}/indexes('{index}')/docs/search.post.search is its OData name; the REST reference gives it as
POST {service}/indexes/{index}/docs/search?api-version=2024-07-01
(https://learn.microsoft.com/rest/api/searchservice/documents/search-post).
"""

from collections.abc import Iterator, Mapping, Sequence

from clients.sources.egress import PinnedClient, authorization_headers
from clients.sources.port import Row, SourceError, SourceTokens, rows_in
from domain.sources.catalog import Source, SourceQuery

VERSION = "2024-07-01"
DELIMITER = "|"


class AiSearch:
    """Reads the documents of an index that match the caller's claims, best match first."""

    def __init__(self, client: PinnedClient, tokens: SourceTokens) -> None:
        self.client = client
        self.tokens = tokens

    async def rows(self, source: Source, query: SourceQuery) -> Sequence[Row]:
        body = search_body(source, query)
        headers = await authorization_headers(self.tokens, source.scope)
        path = f"/indexes/{source.target[0]}/docs/search"
        version = (("api-version", VERSION),)
        data = await self.client.call(source, "POST", path, query=version, body=body, headers=headers)
        return [{name: row[name] for name in row if not name.startswith("@")} for row in rows_in(data, ("value",))]


def search_body(source: Source, query: SourceQuery) -> Mapping[str, object]:
    """Return the request body. Keywords are letters and digits, so they contain no operator of the query syntax."""
    body: dict[str, object] = {
        "search": " ".join(query.keywords) or "*",
        "queryType": "simple",
        "searchMode": "any",
        "top": source.max_rows + 1,
        "filter": " and ".join(conditions(query)),
    }
    return body | ({"select": ",".join(source.fields)} if source.fields else {})


def conditions(query: SourceQuery) -> Iterator[str]:
    """Yield the filter's conditions: the field equals a single claim, or contains one of several values."""
    for name, value in query.parameters.items():
        if isinstance(value, str):
            yield f"{name} eq {literal(value)}"
        else:
            yield f"{name}/any(each: search.in(each, {joined_literal(value)}, '{DELIMITER}'))"


def literal(text: str) -> str:
    """Return an OData string literal; quotes in it are doubled."""
    return "'" + text.replace("'", "''") + "'"


def joined_literal(values: Sequence[str]) -> str:
    if any(DELIMITER in value for value in values):
        raise SourceError(f"a claim of the caller contains '{DELIMITER}', which the filter cannot express")
    return literal(DELIMITER.join(values))
