"""Do the kits that people use work, unmodified?"""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from clients.clock import SystemClock
from domain.batches.batch import BatchStatus
from domain.batches.line_ids import ending_id
from domain.identity.owners import Owner
from domain.turns.webhook_events import WebhookDelivery
from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from tests.conformance.aliases import MODEL
from tests.conformance.clusters import product_under_test
from tests.conformance.installing import framework_kits, javascript_kits, python_kits
from tests.conformance.judging import judge
from tests.conformance.programs import FRAMEWORK_PROGRAMS, PROGRAMS, Finding, Program, found_by

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(1500)]

REASONS: Mapping[str, str] = {
    "@langchain/openai 1.6.0 (JavaScript), responses: forced tool": "the kit does not send `tool_choice: required` "
    "with the Responses API; a function's name, which it sends, works",
}
BATCH = f"batch_{'0' * 24}"
BOUNDED = "limit,forced tool,structured output"
"""What ends soon whatever a model says."""


@pytest.fixture(scope="module", autouse=True)
def kits() -> None:
    python_kits()
    framework_kits()
    javascript_kits()


def announced() -> Mapping[str, str]:
    """Return the messages that tell a receiver of the ends of batches, signed as they are sent."""
    owner, secret, now = Owner(tenant="t", subject="app:a"), b"s" * 32, SystemClock().now()
    sent = [
        WebhookDelivery(
            owner=owner,
            response=ending_id(BATCH),
            status=None,
            at=now,
            endpoint="main",
            due_at=now,
            event={"type": f"batch.{each}", "data": {"id": BATCH}},
        )
        for each in BatchStatus
        if each.has_ended
    ]
    messages = [{"body": each.body.decode(), "headers": each.headers((secret,), now=now)} for each in sent]
    return {"WEBHOOKS": json.dumps(messages), "WEBHOOK_SECRET": f"whsec_{base64.b64encode(secret).decode()}"}


async def told(cluster: LocalCluster, model: str, programs: Sequence[Program] = PROGRAMS, **more: str) -> list[Finding]:
    environment = {
        "OPENAI_BASE_URL": f"{cluster.base_url}/v1",
        "OPENAI_API_KEY": cluster.token(),
        "MODEL": model,
        "SHOP_URL": cluster.model_url("shop"),
        **announced(),
        **more,
    }
    return [finding for program in programs for finding in await found_by(program, environment)]


async def test_the_kits_do_what_people_use_them_for_or_say_why_not(tmp_path: Path) -> None:
    with product_under_test(tmp_path, GANGLION_MODEL_REQUIRED="true") as cluster:
        judge("kits, unmodified", await told(cluster, MODEL), REASONS)


async def test_the_frameworks_do_what_people_use_them_for_or_say_why_not(tmp_path: Path) -> None:
    with product_under_test(tmp_path, GANGLION_MODEL_REQUIRED="true") as cluster:
        judge("frameworks, unmodified", await told(cluster, MODEL, FRAMEWORK_PROGRAMS), REASONS)


async def test_the_kits_work_with_a_real_model(tmp_path: Path) -> None:
    options = ClusterOptions(data=tmp_path, model="real", environment={"GANGLION_TELEMETRY": "none"})
    with LocalCluster(options) as cluster:
        judge("kits, unmodified, with a real model", await told(cluster, "auto", CHECKS=BOUNDED), REASONS)
