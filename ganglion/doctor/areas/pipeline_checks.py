"""Can the pipelines run: do they name what exists, and are their queues reached?"""

from collections.abc import Iterator
from typing import Final

from composition.parts import Configuration
from composition.pipeline_checks import pipeline_problems
from domain.pipelines.pipeline import TriggerKind
from ganglion.doctor.findings import Fault, error
from ganglion.doctor.subject import NotRunError, Subject

NAMES: Final = ("{}", "AzureWebJobs{}", "{}__accountName", "{}__queueServiceUri")
"""The settings that lead the host to the account of a connection."""


def references(subject: Subject) -> Iterator[Fault]:
    """Compare the models, sources, tools, webhooks and tenants of the pipelines with those that there are."""
    if not subject.pipelines.known:
        raise NotRunError("no pipeline is enabled")
    configuration = Configuration(
        settings=subject.settings,
        fleet=subject.fleet,
        prices=subject.prices,
        sources=subject.sources,
        tools=subject.tools,
        endpoints=subject.webhooks,
        pipelines=subject.pipelines,
    )
    for problem in pipeline_problems(configuration):
        yield error(problem, f"${{EDITOR:-vi}} {subject.settings.pipelines}")


def queues(subject: Subject) -> Iterator[Fault]:
    """Look for the settings by which the host finds the account of each queue; without them, no message arrives."""
    triggers = [
        (each.name, each.queue)
        for each in subject.pipelines.known.values()
        if each.trigger is TriggerKind.QUEUE and each.queue
    ]
    if not triggers:
        raise NotRunError("no pipeline reads a queue")
    for name, queue in triggers:
        if not any(subject.variables.get(each.format(queue.connection)) for each in NAMES):
            wanted = f"{queue.connection}__queueServiceUri"
            text = f"pipelines.{name}: {wanted} is not set: the host does not find the queue {queue.name}"
            yield error(text, subject.set_command(wanted, "https://ACCOUNT.queue.core.windows.net"))
