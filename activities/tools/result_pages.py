"""How is a page of a cut result read? Only the turn that has the result reads it."""

from domain.content.items import Item
from domain.log.transcript import Transcript
from domain.tools.arguments import call_problem, parsed_arguments
from domain.tools.call_record import CallOutcome
from domain.tools.catalog import ToolServers
from domain.tools.outcomes import REPEATED, completed, failed, invalid_arguments
from domain.tools.repeats import is_known_by_now
from domain.tools.result_pages import FROM, NUMBER, SCHEMA, cut_results, longest_page, page
from domain.turns.response import Response
from state.tools.whole_results import WholeResults

GONE = "The whole result is no longer stored."
DEFAULT_TOKENS = 1000


class ResultPages:
    """Reads pages of the results of earlier rounds."""

    def __init__(self, results: WholeResults, servers: ToolServers) -> None:
        self.results = results
        self.servers = servers

    async def outcome(self, response: Response, item: Item, log: Transcript) -> CallOutcome:
        arguments = parsed_arguments(item.text)
        problem = call_problem(item.text, SCHEMA, max_bytes=self.servers.limits.argument_bytes)
        if isinstance(arguments, str) or problem:
            return invalid_arguments(problem)
        if is_known_by_now(item, log.items):
            return failed(REPEATED)
        earlier = cut_results(each for each in log.items if each.round < item.round)
        number = int(arguments.get(NUMBER, len(earlier)))
        if not 1 <= number <= len(earlier):
            return invalid_arguments(f"{NUMBER}: expected a number from 1 to {len(earlier)}")
        return await self.page(response, earlier[number - 1], start=int(arguments.get(FROM, 0)))

    async def page(self, response: Response, cut: Item, *, start: int) -> CallOutcome:
        if start >= cut.whole:
            return invalid_arguments(f"{FROM}: expected a number below {cut.whole}")
        most = self.page_tokens(cut)
        text = await self.results.read(response, cut.id, start=start, most=longest_page(most))
        if not text:
            return failed(GONE)
        return completed(page(text, start=start, whole=cut.whole, max_tokens=most))

    def page_tokens(self, cut: Item) -> int:
        server = self.servers.known.get(cut.server)
        tool = server.rights(cut.name) if server else None
        return tool.max_result_tokens if tool else DEFAULT_TOKENS
