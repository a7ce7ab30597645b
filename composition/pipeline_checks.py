"""Which pipelines of the operator's file can never run as they are configured, and why?"""

from collections.abc import Iterator

from api.pipelines.pipeline_turns import step_request
from composition.parts import Configuration
from domain.errors import Invalid
from domain.identity.access_tokens import is_guid
from domain.ids import thread_of
from domain.pipelines.pipeline import COMPLETED_EVENT, Pipeline, PipelineStep, SinkKind
from domain.routing.model_choice import UnknownModel, read_model_choice
from domain.tools.catalog import ServerAuth, ServerTool, ToolApproval, ToolEffect, ToolServer


def pipeline_problems(configuration: Configuration) -> tuple[str, ...]:
    """Return every mistake, with its table and its field."""
    known = configuration.pipelines.known.values()
    return tuple(f"pipelines.{each.name}.{problem}" for each in known for problem in problems_of(each, configuration))


def problems_of(pipeline: Pipeline, configuration: Configuration) -> Iterator[str]:
    tenants = configuration.settings.token_tenants
    if pipeline.owner.tenant not in tenants:
        yield f"owner.tenant: expected one of GANGLION_TOKEN_TENANTS, found {pipeline.owner.tenant!r}"
    app = pipeline.owner.subject.removeprefix("app:")
    if not is_guid(app):
        yield f"owner.app: expected the client id of an application, a GUID in lower case, found {app!r}"
    for step in pipeline.steps:
        place = f"steps.{step.name}." if step.name else ""
        yield from (f"{place}{problem}" for problem in step_problems(pipeline, step, configuration))
    yield from sink_problems(pipeline, configuration)


def step_problems(pipeline: Pipeline, step: PipelineStep, configuration: Configuration) -> Iterator[str]:
    choice = read_model_choice(step.body["model"], step.body["metadata"].get("tier"), configuration.fleet)
    if isinstance(choice, UnknownModel):
        yield f"model: {choice.reason}"
    try:
        step_request(step, "text")
    except Invalid as error:
        yield f"{error.field}: {error}"
    try:
        configuration.sources.selected(pipeline.owner, step.body["metadata"].get("sources"))
    except KeyError as unknown:
        yield f"sources: no source {unknown} is open to the pipeline's owner"
    yield from tool_problems(pipeline, step, configuration)


def tool_problems(pipeline: Pipeline, step: PipelineStep, configuration: Configuration) -> Iterator[str]:
    """Yield the tools that a turn without a caller can't have: nobody can be asked, and nobody's rights are there."""
    waits = "approval_wait_s" in step.body["metadata"]
    for asked in step.body["tools"]:
        label, names = asked["server_label"], asked["allowed_tools"]
        server = configuration.tools.open_to(pipeline.owner, label)
        if server is None:
            yield f"tools.{label}: no such server is open to the pipeline's owner"
            continue
        if server.auth is ServerAuth.OBO:
            yield f"tools.{label}: a pipeline has no caller whose rights a tool could use (obo)"
        for name in names or server.tools:
            if problem := tool_problem(name, server, pipeline, waits=waits):
                yield f"tools.{label}: {problem}"


def tool_problem(name: str, server: ToolServer, pipeline: Pipeline, *, waits: bool) -> str:
    """Return why a turn of a pipeline can't have a tool; an empty text where it can."""
    tool = server.rights(name)
    if tool is None:
        return f"the server has no tool {name!r}"
    if not asks(tool, server, pipeline):
        return ""
    if not waits:
        return f"{name} needs an approval, and the pipeline has no approval_wait_s"
    return "" if server.approvers else f"{name} needs an approval, and the server has no approvers in tools.toml"


def asks(tool: ServerTool, server: ToolServer, pipeline: Pipeline) -> bool:
    """Tell whether a call may need an approval: a write does after what was not trusted."""
    is_tainted = not (pipeline.trusted and server.trusted)
    return tool.approval is ToolApproval.ALWAYS or (tool.effect is ToolEffect.WRITE and is_tainted)


def sink_problems(pipeline: Pipeline, configuration: Configuration) -> Iterator[str]:
    sink = pipeline.sink
    if sink.kind is SinkKind.CONVERSATION and not (sink.target.startswith("conv_") and thread_of(sink.target)):
        yield f"sink.conversation: expected the id of a conversation, found {sink.target!r}"
    if sink.kind is SinkKind.WEBHOOK:
        endpoint = configuration.endpoints.known.get(sink.target)
        if endpoint is None or not endpoint.serves(pipeline.owner.tenant):
            yield f"sink.webhook: no webhook {sink.target!r} is configured for the owner's tenant"
        elif not endpoint.names(COMPLETED_EVENT):
            yield f"sink.webhook: the events of {sink.target!r} do not name {COMPLETED_EVENT}"
