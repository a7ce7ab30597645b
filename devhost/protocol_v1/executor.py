"""How does the engine reach the user's orchestrators and activities through the 1.x protocol?"""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

from devhost.app.catalog import Catalog, Function
from devhost.app.versions import MISMATCH, UNVERSIONED, OnMismatch, Versions
from devhost.console import say
from devhost.engine.model.commands import Completed, Failed, OrchestratorDecision
from devhost.engine.model.executor import NotForThisHostError, RedeliverError
from devhost.engine.model.work_items import ActivityWorkItem, EntityBatch, EntityBatchResult, Episode
from devhost.protocol_v1.decision import (
    Names,
    Verdict,
    decide_on_answer,
    decide_on_failure,
    orchestrator_failed,
    unknown,
    unknown_orchestrator,
)
from devhost.protocol_v1.entities import context_from_batch, failed_batch, outcome_from_text
from devhost.protocol_v1.history import context_from_turn
from devhost.protocol_v1.http_calls import HTTP_ACTIVITY, run_http
from devhost.supervisor.messages import Answer, Invocation, Raised, Returned, TimedOutError, WorkerLostError
from devhost.supervisor.supervisor import Supervisor
from devhost.supervisor.tracing import next_trace


def names_of(catalog: Catalog, version: str | None) -> Names:
    return Names(
        version=version,
        orchestrators={key: one.durable_name for key, one in catalog.orchestrators.items()},
        activities={key: one.durable_name for key, one in catalog.activities.items()},
        entities={key: one.durable_name for key, one in catalog.entities.items()},
    )


def activity_failed(name: str, raised: Raised) -> Failed:
    details = {"Message": raised.message, "StackTrace": raised.stack}
    return Failed(reason=f"Activity function '{name}' failed:  {raised.message}", details=json.dumps(details))


def json_text(answer: Returned) -> str | None:
    """An activity that has an output of another kind too may return a plain text, bytes or a number."""
    match answer.type:
        case "string":
            return json.dumps(answer.text)
        case "bytes":
            return json.dumps(b64encode(answer.body).decode())
        case _:
            return answer.text


class WorkerExecutor:
    """`catalog` is asked anew for each call: the app may have changed with its worker."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        catalog: Callable[[], Catalog],
        versions: Versions = UNVERSIONED,
        http_wait_s: float = 30.0,
    ) -> None:
        self.http_wait_s = http_wait_s
        self.supervisor = supervisor
        self.versions = versions
        self.catalog = catalog
        self.warned: set[str] = set()

    def names(self) -> Names:
        return replace(names_of(self.catalog(), self.versions.own), http_wait_s=self.http_wait_s)

    async def run_episode(self, episode: Episode) -> OrchestratorDecision:
        if not self.versions.accepts(episode.instance.version):
            return self.mismatch(episode)
        await self.ready()
        name = episode.instance.name
        function = self.catalog().orchestrators.get(name.lower())
        if function is None:
            failed = unknown_orchestrator(name, self.names())
            return OrchestratorDecision(outcome=orchestrator_failed(name, failed.reason))
        try:
            answer = await self.ask(function, episode)
        except TimedOutError:
            raise RedeliverError from None
        verdict = self.judge(episode, answer)
        for text in verdict.warnings:
            self.warn_once(text)
        return verdict.decision

    def mismatch(self, episode: Episode) -> OrchestratorDecision:
        """Raises LeaveError unless host.json tells to fail."""
        own, found = self.versions, episode.instance.version
        if own.on_mismatch is OnMismatch.FAIL:
            return OrchestratorDecision(outcome=Failed(reason=MISMATCH))
        self.warn_once(
            f"orchestrator '{episode.instance.name}' has an instance of version '{found or ''}', which this host does not "
            f"run: defaultVersion is '{own.own or ''}', versionMatchStrategy is {own.match}"
        )
        raise NotForThisHostError

    async def ask(self, function: Function, episode: Episode) -> Answer:
        """What the orchestrator itself says to a episode."""
        what = f"orchestrator {episode.instance.name} ({episode.instance.id})"
        return await self.invoke(function, what, context_from_turn(episode), episode.instance.trace)

    def judge(self, episode: Episode, answer: Answer) -> Verdict:
        try:
            if isinstance(answer, Raised):
                return decide_on_failure(episode, answer.message, answer.stack, self.names())
            return decide_on_answer(episode, answer.text or "", self.names())
        except (ValueError, KeyError, TypeError, IndexError) as error:
            text = f"The answer of the orchestrator can't be read: {type(error).__name__}: {error}"
            return Verdict(decision=OrchestratorDecision(outcome=orchestrator_failed(episode.instance.name, text)))

    def warn_once(self, text: str) -> None:
        """Replay would repeat it with every episode."""
        if text not in self.warned:
            self.warned.add(text)
            say(f"warning: {text}")

    async def run_activity(self, work: ActivityWorkItem) -> Completed | Failed:
        if work.name == HTTP_ACTIVITY:
            return await run_http(work.input)
        await self.ready()
        function = self.catalog().activities.get(work.name.lower())
        if function is None:
            return unknown("activity", "an", work.name, self.names().activities)
        try:
            answer = await self.invoke(function, f"activity {work.name} ({work.instance})", work.input, work.trace)
        except TimedOutError:
            text = f"Timeout value of {self.supervisor.timeout:g} s exceeded by function: {work.name}"
            return activity_failed(work.name, Raised(message=text, stack=""))
        return activity_failed(work.name, answer) if isinstance(answer, Raised) else Completed(output=json_text(answer))

    async def run_entity_batch(self, batch: EntityBatch) -> EntityBatchResult:
        await self.ready()
        name = batch.entity.split("@")[1]
        function = self.catalog().entities.get(name)
        if function is None:
            return self.refuse(batch, unknown("entity", "an", name, self.names().entities).reason)
        try:
            answer = await self.invoke(function, f"entity {batch.entity}", context_from_batch(batch), None)
            return self.entity_outcome(batch, answer)
        except TimedOutError:
            return self.refuse(batch, f"Timeout value of {self.supervisor.timeout:g} s exceeded by function: {name}")

    def entity_outcome(self, batch: EntityBatch, answer: Answer) -> EntityBatchResult:
        if isinstance(answer, Raised):
            return self.refuse(batch, answer.message)
        try:
            return outcome_from_text(answer.text or "", batch)
        except (ValueError, KeyError, TypeError) as error:
            return self.refuse(batch, f"The answer of the entity can't be read: {type(error).__name__}: {error}")

    @staticmethod
    def refuse(batch: EntityBatch, reason: str) -> EntityBatchResult:
        say(f"entity {batch.entity}: {len(batch.operations)} operations failed: {reason}")
        return failed_batch(batch, reason)

    async def ready(self) -> None:
        await self.supervisor.current(None)

    async def invoke(self, function: Function, what: str, text: str, trace: str | None) -> Answer:
        invocation = Invocation(
            id=str(uuid4()),
            function_id=function.id,
            what=what,
            type="string",
            trace=next_trace(trace),
            body=text.encode(),
        )
        try:
            return await self.supervisor.invoke(invocation)
        except WorkerLostError:
            raise RedeliverError from None
