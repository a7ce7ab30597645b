"""Does each check of networks, GPUs, telemetry and boards name its fault alone?"""

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from ganglion.doctor.outside import Answer
from tests.ganglion.doctor.faults import (
    Break,
    addresses,
    answer,
    check_that_names_alone,
    edit,
    found,
    setting,
    unreachable,
)
from tests.ganglion.doctor.harness import PUBLIC, Case


def no_workbook(case: Case) -> None:
    case.app = "green"
    case.outside.workbooks = []


def no_span(case: Case) -> None:
    case.app = "green"
    case.outside.shown_spans = (0,)


def no_quota(case: Case) -> None:
    case.outside.gpus = 0


FAULTS: dict[str, Break] = {
    "network.private": addresses("account.queue.core.windows.net", PUBLIC),
    "network.sources": addresses("crm.example", "169.254.169.254"),
    "sources.reach": unreachable("crm.example"),
    "webhooks.reach": unreachable("hooks.example"),
    "gpu.start_up_probe": edit("fleet.toml", "p99_s = 200", "p99_s = 400"),
    "gpu.quota": no_quota,
    "telemetry.arrival": no_span,
    "telemetry.connection": setting("APPLICATIONINSIGHTS_CONNECTION_STRING", "InstrumentationKey=mine"),
    "telemetry.collector": answer("https://collector.example/v1/traces", Answer(status=404)),
    "telemetry.console": setting("GANGLION_TELEMETRY", "console"),
    "boards.present": no_workbook,
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_named_by_its_check_alone(case: Case, name: str) -> None:
    assert await check_that_names_alone(case, FAULTS[name]) == name


async def test_a_span_of_the_doctor_is_looked_for_until_it_is_shown(case: Case) -> None:
    case.app = "green"
    assert await found(case) == {}
    assert len(case.outside.asked) == len(case.outside.shown_spans)
    assert len(set(case.outside.asked)) == 1


async def test_a_receiver_that_drops_the_span_is_named_with_its_reason(case: Case) -> None:
    dropped = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=1, error_message="over the quota")
    )
    case.outside.answers["https://collector.example/v1/traces"] = Answer(status=200, body=dropped.SerializeToString())
    ((text,),) = (await found(case)).values()
    assert text.endswith("drops spans: over the quota")


async def test_a_quota_below_the_instances_of_the_gpu_service_is_named(case: Case) -> None:
    case.outside.gpus = 2
    (case.root / "infra" / "google" / "terraform.tfvars").write_text("max_instances = 3\n", encoding="utf-8")
    ((text,),) = (await found(case)).values()
    assert text == "the project may run 2 L4 GPUs in us-central1, but max_instances of infra/google is 3"
