"""What does a search of private data ask for, and how are its results kept and shown?

The model has one tool for all sources that a request names. Its call has a query; its output is a JSON object with the
rows, each with its source, and the problem of each source that could not be read.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, Final, cast

from domain.content.items import Item, ItemKind, ItemStatus
from domain.content.untrusted_text import whole_text

SEARCH_SERVER: Final = "file_search"
"""The label under which searches are run. Labels of the file of the tools have no underscore."""

SEARCH_TOOL: Final = "search"
QUERY: Final = "query"
NOT_SENT_BACK: Final = "[The results of this search were not sent back.]"
NAMES: Final = ("title", "name", "subject")
"""The fields of a row that may name it."""

type Row = Mapping[str, Any]


def rows_text(rows: Iterable[tuple[str, Row]], *, problems: Mapping[str, str], left_out: int) -> str:
    """Return the output of a call that has read sources; `rows` are pairs of a source's name and a row of it."""
    body: dict[str, Any] = {"rows": [{"source": source, "row": dict(row)} for source, row in rows]}
    body |= {"problems": dict(problems)} if problems else {}
    body |= {"left_out": left_out} if left_out else {}
    return whole_text(json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=str))


def queries_of(item: Item) -> list[str]:
    """Return the queries of a call as the model wrote them; none where its arguments are not valid."""
    query = json_object(item.text).get(QUERY)
    return [query] if isinstance(query, str) else []


def results_of(item: Item) -> list[dict[str, Any]]:
    """Return the results of a search as objects of the API, in the order of its rows.

    Sources give an order and no common score, so the score of the n-th result is 1/n.
    """
    return [result_of(source, row, score=round(1 / number, 3)) for number, (source, row) in enumerate(rows_in(item), 1)]


def rows_in(item: Item) -> Iterator[tuple[str, Row]]:
    rows: Any = json_object(item.output or "").get("rows")
    for each in cast("list[Any]", rows) if isinstance(rows, list) else ():
        body = cast("dict[str, Any]", each) if isinstance(each, dict) else {}
        if isinstance(body.get("row"), dict):
            yield str(body.get("source", "")), cast("Row", body["row"])


def result_of(source: str, row: Row, *, score: float) -> dict[str, Any]:
    named = next((row[name] for name in NAMES if isinstance(row.get(name), str)), source)
    plain = {name: value for name, value in row.items() if is_plain(value) and name != "text"}
    text = row["text"] if isinstance(row.get("text"), str) else json.dumps(row, ensure_ascii=False, default=str)
    attributes = {name[:64]: value[:512] if isinstance(value, str) else value for name, value in plain.items()}
    return {
        "file_id": str(source if row.get("id") in (None, "") else row["id"]),
        "filename": str(named),
        "score": score,
        "text": text,
        "attributes": {**dict(list(attributes.items())[:15]), "source": source},
    }


def is_plain(value: Any) -> bool:
    """Tell whether a value can be an attribute: JSON has no number that is not finite."""
    return isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))


def sent_back(queries: Sequence[str], results: Sequence[Mapping[str, Any]] | None, *, has_failed: bool) -> Item:
    """Return the item of a search that a caller sends back, with its results where the caller has them."""
    rows = [
        (str(each.get("filename") or ""), {"id": each.get("file_id"), "text": each.get("text")})
        for each in results or ()
    ]
    output = rows_text(rows, problems={}, left_out=0) if results is not None else NOT_SENT_BACK
    return Item(
        id="",
        kind=ItemKind.FILE_SEARCH,
        text=json.dumps({QUERY: " ".join(queries)}, ensure_ascii=False),
        status=ItemStatus.FAILED if has_failed else ItemStatus.COMPLETED,
        name=SEARCH_TOOL,
        server=SEARCH_SERVER,
        output=output,
    )


def json_object(text: str) -> Mapping[str, Any]:
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}
