"""Does a flood of turns fire the alarm of money, and does its payload say what to do?"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import pytest

from settings import ROOT
from standins.cluster.local_cluster import LocalCluster
from telemetry.names import FORECAST_USED
from tests.checks import every
from tests.end_to_end.callers import asking, calling
from tests.end_to_end.conftest import hasty
from tests.end_to_end.waiting import eventually
from tests.telemetry.otlp_receiver import Receiver, receiving
from tests.telemetry.queries.alarm_payload import alarm_payload
from tests.telemetry.queries.query_engines import kql_rows

pytestmark = [pytest.mark.campaign, pytest.mark.slow]

RULES: dict[str, dict[str, Any]] = {
    rule["name"]: rule for rule in json.loads((ROOT / "infra" / "azure" / "alerts.json").read_text(encoding="utf-8"))
}
FORECAST_USD = "0.0001"
FLOOD = 16
ARRIVED_S = 60.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[LocalCluster]:
    options = hasty(
        tmp_path_factory.mktemp("flood"),
        GANGLION_TELEMETRY="standard",
        GANGLION_FORECAST_TENANT_DAY=FORECAST_USD,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_METRIC_EXPORT_INTERVAL="500",
    )
    with LocalCluster(options) as running:
        yield running


async def test_a_flood_above_the_forecast_fires_the_rule_and_renders_its_payload(
    cluster: LocalCluster, receiver: Receiver
) -> None:
    async with calling(cluster) as caller:
        readings = await asyncio.gather(*(caller.follow(asking("COUNT 40")) for _ in range(FLOOD)))
    assert every(each.types[-1] == "response.completed" for each in readings)
    share = await eventually(share_above(receiver, 1.5), within_s=ARRIVED_S, what="150 % of the forecast")
    rows: list[dict[str, Any]] = [
        {"name": FORECAST_USED, "age_s": 1, "sum": share, "min": share, "max": share, "count": 1, "properties": {}},
    ]
    forecasts = {name: rule["query"] for name, rule in RULES.items() if name.startswith("forecast-")}
    found = await asyncio.to_thread(kql_rows, rows, forecasts)
    assert {name for name, answer in found.items() if answer[0][-1] > RULES[name]["threshold"]} == set(forecasts)
    assert_says_what_to_do(alarm_payload(RULES["forecast-150"], name="ganglion", workspace="/logs", value=share))


def share_above(receiver: Receiver, threshold: float) -> Callable[[], Awaitable[float | None]]:
    async def look() -> float | None:
        shares = [point.highest for point in receiver.points() if point.metric == FORECAST_USED]
        return max(shares) if shares and max(shares) > threshold else None

    return look


def assert_says_what_to_do(payload: Mapping[str, Any]) -> None:
    essentials = payload["data"]["essentials"]
    assert (essentials["severity"], essentials["alertRule"]) == ("Sev1", "ganglion: forecast-150")
    (criterion,) = payload["data"]["alertContext"]["condition"]["allOf"]
    assert criterion["metricValue"] > float(criterion["threshold"]) == 1.5
    page, _, row = essentials["description"].partition(", Alarms: ")
    alarms = (ROOT / page).read_text(encoding="utf-8").partition("## Alarms")[2]
    (advice,) = re.findall(rf"^\| {row} \|.*", alarms, re.MULTILINE)
    assert "limits --set" in advice
    bicep = (ROOT / "infra" / "azure" / "alerts.bicep").read_text(encoding="utf-8")
    assert "useCommonAlertSchema: true" in bicep
    assert "description: '${runbooks}${rule.runbook}'" in bicep
