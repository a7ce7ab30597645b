"""Who may use a pipeline, and where do its answers go?"""

from copy import replace

import pytest

from domain.identity.owners import Owner
from domain.pipelines.pipeline import Pipeline, Pipelines, PipelineStep, Sink, SinkKind, TriggerKind

FIRST, SECOND = PipelineStep(body={"model": "small"}, name="read"), PipelineStep(body={"model": "large"}, name="say")
MAIL = Pipeline(
    name="mail", owner=Owner(tenant="one", subject="app:1"), trigger=TriggerKind.CLOUD_EVENTS, steps=(FIRST, SECOND)
)


@pytest.mark.parametrize(
    ("kind", "receiver"),
    [
        (SinkKind.NONE, ""),
        (SinkKind.CONVERSATION, ""),
        (SinkKind.WEBHOOK, "main"),
        (SinkKind.QUEUE, "sink_mail"),
        (SinkKind.BLOB, "sink_mail"),
    ],
)
def test_the_outbox_delivers_to_webhooks_and_places(kind: SinkKind, receiver: str) -> None:
    assert replace(MAIL, sink=Sink(kind=kind, target="main")).receiver == receiver


def test_a_pipeline_ends_with_its_last_step_and_begins_with_the_model_of_its_first() -> None:
    assert [MAIL.is_last(step) for step in range(3)] == [False, True, True]
    assert MAIL.model == "small"


def test_another_tenants_pipeline_is_as_good_as_none() -> None:
    other = replace(MAIL, name="other", owner=Owner(tenant="two", subject="app:1"))
    pipelines = Pipelines(known={each.name: each for each in (MAIL, other)})
    assert pipelines.of_tenant("one") == (MAIL,)
    assert pipelines.open_to("one", "mail") == MAIL
    assert pipelines.open_to("one", "other") is None
    assert pipelines.open_to("one", "none") is None
