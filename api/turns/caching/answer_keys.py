"""May a turn take over the answer of another one, and by which key is that found?"""

from collections.abc import Sequence

from msgspec import Struct

from activities.retrieve import last_user_text
from api.parsing.reserved_metadata import CACHE_PATH
from api.parsing.responses_request import TurnRequest
from api.turns.admission_plan import AdmissionPlan
from api.turns.planner import Planner
from clients.sources.reader import SourceReader
from domain.errors import Invalid
from domain.identity.owners import Owner
from domain.sources.catalog import FetchedRows
from domain.sources.prompt_context import context_text
from domain.turns.cache_use import CacheUse
from domain.turns.cached_answers import ReadByModel


class AnswerKey(Struct, frozen=True, kw_only=True):
    """The use that a turn makes of the cache, and the private data that its key covers."""

    use: CacheUse
    fetched: Sequence[FetchedRows] = ()


class AnswerKeys:
    """Computes the keys of turns. The operator allows answers that are `longest_s` old; 0: none."""

    def __init__(self, *, planner: Planner, reader: SourceReader, longest_s: float) -> None:
        self.planner = planner
        self.reader = reader
        self.longest_s = longest_s

    async def key_of(self, owner: Owner, request: TurnRequest, plan: AdmissionPlan) -> AnswerKey | None:
        """Return the key of a turn that asks for a cached answer; raises Invalid where it can have none."""
        if request.cache_s is None:
            return None
        self.check(request, plan)
        fetched = await self.reader.read(plan.sources, owner, last_user_text(plan.items)) if plan.sources else ()
        backends = self.planner.chosen_backends(request)
        read = ReadByModel(
            models=[*{(each.model, each.served_model) for each in backends}],
            instructions=request.instructions,
            items=plan.model_input.items,
            rows=context_text(fetched, ""),
            tools=plan.tool_config,
            sampling=request.sampling,
            output_tokens=self.planner.output_tokens(request),
        )
        return AnswerKey(use=CacheUse(key=read.key(owner), max_age_s=request.cache_s), fetched=fetched)

    def check(self, request: TurnRequest, plan: AdmissionPlan) -> None:
        if not self.longest_s:
            raise refused("this service keeps no answers. The operator allows it with GANGLION_CACHE_S")
        if (request.cache_s or 0.0) > self.longest_s:
            raise refused(f"an answer may be {self.longest_s:g} s old at most. The limit is set with GANGLION_CACHE_S")
        if request.sampling.temperature != 0:
            raise refused("only an answer with 'temperature' 0 can be reused")
        if any(each.writes for each in plan.tool_config.functions if each.server):
            raise refused("the answer of a turn with tools that write is never reused")


def refused(why: str) -> Invalid:
    return Invalid(f"Unsupported value for '{CACHE_PATH}': {why}.", field=CACHE_PATH, code="unsupported_value")
