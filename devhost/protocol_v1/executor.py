"""How does the engine run the app's orchestrators, activities and entities through the 1.x protocol?"""

import json
from base64 import b64encode
from collections.abc import Callable
from copy import replace
from uuid import uuid4

from devhost.app.catalog import FunctionCatalog, FunctionMetadata
from devhost.app.versions import MISMATCH, UNVERSIONED, VersionFailureStrategy, VersionSettings
from devhost.console import log_line
from devhost.engine.model.commands import Completed, Failed, OrchestratorDecision
from devhost.engine.model.executor import NotForThisHostError, RedeliverError
from devhost.engine.model.work_items import ActivityWorkItem, EntityBatch, EntityBatchResult, Episode
from devhost.protocol_v1.decision import (
    DecisionWithWarnings,
    KnownFunctions,
    decide_on_failure,
    decide_on_result,
    orchestrator_failed,
    unknown_function,
    unknown_orchestrator,
)
from devhost.protocol_v1.entities import batch_result_from_text, context_from_batch, failed_batch
from devhost.protocol_v1.history import context_from_episode
from devhost.protocol_v1.http_calls import HTTP_ACTIVITY, run_http
from devhost.supervisor.messages import (
    FunctionRaised,
    FunctionReturned,
    FunctionTimeoutError,
    Invocation,
    InvocationResult,
    WorkerLostError,
)
from devhost.supervisor.supervisor import Supervisor
from devhost.supervisor.tracing import next_span


def known_functions_of(catalog: FunctionCatalog, version: str | None) -> KnownFunctions:
    return KnownFunctions(
        version=version,
        orchestrators={key: one.durable_name for key, one in catalog.orchestrators.items()},
        activities={key: one.durable_name for key, one in catalog.activities.items()},
        entities={key: one.durable_name for key, one in catalog.entities.items()},
    )


def activity_failed(name: str, raised: FunctionRaised) -> Failed:
    details = {"Message": raised.message, "StackTrace": raised.stack}
    return Failed(reason=f"Activity function '{name}' failed:  {raised.message}", details=json.dumps(details))


def result_to_json(result: FunctionReturned) -> str | None:
    """An activity that has an output binding of another kind may return plain text, bytes or a number."""
    match result.type:
        case "string":
            return json.dumps(result.text)
        case "bytes":
            return json.dumps(b64encode(result.body).decode())
        case _:
            return result.text


class WorkerExecutor:
    """`catalog` is read for each call: the app may have changed when the worker restarted."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        catalog: Callable[[], FunctionCatalog],
        versions: VersionSettings = UNVERSIONED,
        http_poll_interval_s: float = 30.0,
    ) -> None:
        self.http_poll_interval_s = http_poll_interval_s
        self.supervisor = supervisor
        self.versions = versions
        self.catalog = catalog
        self.warned: set[str] = set()

    def known_functions(self) -> KnownFunctions:
        return replace(
            known_functions_of(self.catalog(), self.versions.default), http_poll_interval_s=self.http_poll_interval_s
        )

    async def run_episode(self, episode: Episode) -> OrchestratorDecision:
        if not self.versions.accepts(episode.instance.version):
            return self.on_version_mismatch(episode)
        await self.wait_for_worker()
        name = episode.instance.name
        function = self.catalog().orchestrators.get(name.lower())
        if function is None:
            failed = unknown_orchestrator(name, self.known_functions())
            return OrchestratorDecision(outcome=orchestrator_failed(name, failed.reason))
        try:
            result = await self.send_episode(function, episode)
        except FunctionTimeoutError:
            raise RedeliverError from None
        decided = self.decide(episode, result)
        for text in decided.warnings:
            self.warn_once(text)
        return decided.decision

    def on_version_mismatch(self, episode: Episode) -> OrchestratorDecision:
        """Raises NotForThisHostError unless host.json says to fail the instance."""
        own, found = self.versions, episode.instance.version
        if own.failure is VersionFailureStrategy.FAIL:
            return OrchestratorDecision(outcome=Failed(reason=MISMATCH))
        self.warn_once(
            f"orchestrator '{episode.instance.name}' has an instance of version '{found or ''}', which this host "
            f"does not run: defaultVersion is '{own.default or ''}', versionMatchStrategy is {own.match}"
        )
        raise NotForThisHostError

    async def send_episode(self, function: FunctionMetadata, episode: Episode) -> InvocationResult:
        """Sends an episode to the orchestrator and returns its result."""
        what = f"orchestrator {episode.instance.name} ({episode.instance.id})"
        return await self.invoke(function, what, context_from_episode(episode), episode.instance.trace)

    def decide(self, episode: Episode, result: InvocationResult) -> DecisionWithWarnings:
        try:
            if isinstance(result, FunctionRaised):
                return decide_on_failure(episode, result.message, result.stack, self.known_functions())
            return decide_on_result(episode, result.text or "", self.known_functions())
        except (ValueError, KeyError, TypeError, IndexError) as error:
            text = f"The orchestrator's result is invalid: {type(error).__name__}: {error}"
            return DecisionWithWarnings(
                decision=OrchestratorDecision(outcome=orchestrator_failed(episode.instance.name, text))
            )

    def warn_once(self, text: str) -> None:
        """Every replay would repeat the warning."""
        if text not in self.warned:
            self.warned.add(text)
            log_line(f"warning: {text}")

    async def run_activity(self, work: ActivityWorkItem) -> Completed | Failed:
        if work.name == HTTP_ACTIVITY:
            return await run_http(work.input)
        await self.wait_for_worker()
        function = self.catalog().activities.get(work.name.lower())
        if function is None:
            return unknown_function("activity", "an", work.name, self.known_functions().activities)
        try:
            result = await self.invoke(function, f"activity {work.name} ({work.instance})", work.input, work.trace)
        except FunctionTimeoutError:
            text = f"Timeout value of {self.supervisor.timeout:g} s exceeded by function: {work.name}"
            return activity_failed(work.name, FunctionRaised(message=text, stack=""))
        return (
            activity_failed(work.name, result)
            if isinstance(result, FunctionRaised)
            else Completed(output=result_to_json(result))
        )

    async def run_entity_batch(self, batch: EntityBatch) -> EntityBatchResult:
        await self.wait_for_worker()
        name = batch.entity.split("@")[1]
        function = self.catalog().entities.get(name)
        if function is None:
            return self.fail_batch(
                batch, unknown_function("entity", "an", name, self.known_functions().entities).reason
            )
        try:
            result = await self.invoke(function, f"entity {batch.entity}", context_from_batch(batch), None)
            return self.entity_batch_result(batch, result)
        except FunctionTimeoutError:
            return self.fail_batch(
                batch, f"Timeout value of {self.supervisor.timeout:g} s exceeded by function: {name}"
            )

    def entity_batch_result(self, batch: EntityBatch, result: InvocationResult) -> EntityBatchResult:
        if isinstance(result, FunctionRaised):
            return self.fail_batch(batch, result.message)
        try:
            return batch_result_from_text(result.text or "", batch)
        except (ValueError, KeyError, TypeError) as error:
            return self.fail_batch(batch, f"The entity's result is invalid: {type(error).__name__}: {error}")

    @staticmethod
    def fail_batch(batch: EntityBatch, reason: str) -> EntityBatchResult:
        log_line(f"entity {batch.entity}: {len(batch.operations)} operations failed: {reason}")
        return failed_batch(batch, reason)

    async def wait_for_worker(self) -> None:
        await self.supervisor.wait_for_worker(None)

    async def invoke(self, function: FunctionMetadata, what: str, text: str, trace: str | None) -> InvocationResult:
        invocation = Invocation(
            id=str(uuid4()),
            function_id=function.id,
            description=what,
            type="string",
            trace=next_span(trace),
            body=text.encode(),
        )
        try:
            return await self.supervisor.invoke(invocation)
        except WorkerLostError:
            raise RedeliverError from None
