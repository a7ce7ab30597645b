"""Which endpoints of the outbox are the queues and blobs that get answers of pipelines?"""

from domain.pipelines.pipeline import COMPLETED_EVENT, Pipeline, Pipelines, SinkKind
from domain.turns.webhook_events import WebhookEndpoint, WebhookEndpoints

STORAGE: frozenset[SinkKind] = frozenset({SinkKind.QUEUE, SinkKind.BLOB})


def with_sinks(endpoints: WebhookEndpoints, pipelines: Pipelines) -> WebhookEndpoints:
    """Return the webhooks, and one endpoint for each sink that is a queue or a container."""
    sinks = {each.receiver: sink_endpoint(each) for each in pipelines.known.values() if each.sink.kind in STORAGE}
    return WebhookEndpoints(known={**endpoints.known, **sinks}, loopback=endpoints.loopback)


def sink_endpoint(pipeline: Pipeline) -> WebhookEndpoint:
    """Return the endpoint of a sink; it gets the answers of its pipeline alone, as no webhook has its name."""
    return WebhookEndpoint(
        name=pipeline.receiver,
        url=pipeline.sink.target,
        secrets=(),
        tenants=frozenset({pipeline.owner.tenant}),
        events=frozenset(),
        pipeline_events=frozenset({COMPLETED_EVENT}),
        kind=pipeline.sink.kind,
    )
