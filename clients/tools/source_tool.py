"""How does a call of a tool read private data?

The rows are those of the turn's owner, whatever the model says: of its words, only keywords reach a query.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from clients.sources.reader import SourceReader
from clients.tools.port import CallFailure, ToolAnswer, ToolCaller, ToolError, ToolRequest
from domain.sources.catalog import FetchedRows
from domain.sources.file_search import QUERY, rows_text
from domain.tools.catalog import ServerKind

FOUND = 200


class WithSources:
    """Calls the tools of servers, those of our own sources included."""

    def __init__(self, others: ToolCaller, reader: SourceReader) -> None:
        self.others = others
        self.reader = reader

    async def call(self, request: ToolRequest) -> ToolAnswer:
        if request.server.kind is not ServerKind.SOURCES:
            return await self.others.call(request)
        words = str(request.arguments.get(QUERY, ""))
        fetched = await self.reader.read(tuple(request.tool.sources), request.owner, words)
        problems = {each.source: each.problem for each in fetched if each.problem}
        if len(problems) == len(fetched):
            raise ToolError(CallFailure.NOT_SENT, problem_text(problems))
        rows = ranked_rows(fetched)
        kept = rows[: request.tool.max_rows or len(rows)]
        left_out = sum(each.left_out for each in fetched) + len(rows) - len(kept)
        return ToolAnswer(status=FOUND, text=rows_text(kept, problems=problems, left_out=left_out))


def ranked_rows(fetched: Sequence[FetchedRows]) -> Sequence[tuple[str, Mapping[str, Any]]]:
    """Return the rows of all sources: the first ones of each, then the second ones."""
    ranked = [(rank, each.source, row) for each in fetched for rank, row in enumerate(each.rows)]
    return [(source, row) for _, source, row in sorted(ranked, key=lambda found: found[0])]


def problem_text(problems: Mapping[str, str]) -> str:
    told = "; ".join(f"{source}: {problem}" for source, problem in problems.items())
    return f"The data could not be read: {told or 'no source may be read now'}."
