"""How do recorded metrics reach a real Prometheus and a table for Kusto queries?"""

import json
import math
import socket
import subprocess
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from opentelemetry.sdk.metrics.export import HistogramDataPoint
from tenacity import retry, stop_after_delay, wait_fixed

from scripts.boards.panels import Kind
from tests.conformance.installing import NODE, ROOT, kusto_judge, query_kits
from tests.telemetry.queries.recording import Recorded

STEPS: Final = 10
"""Samples of a series, one a minute; a counter grows from 0 to its value."""

type Answer = dict[str, list[list[Any]]]


def called(*command: str | Path, given: object) -> Any:
    done = subprocess.run(  # noqa: S603 - programs of ours
        command, input=json.dumps(given), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def diagnosed(queries: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
    """Return what Microsoft's parser finds in queries: `faults`, and the `columns` of their results."""
    return called(NODE, kusto_judge(), given=queries)


def kql_results(metrics: Collection[Recorded], queries: Mapping[str, str], *, minutes: int = 1) -> Answer:
    """Return the rows that queries give over metrics as Azure Monitor's exporter sent them in each of some minutes."""
    rows = [row | {"age_s": 60 * minute + 1} for minute in range(minutes) for row in app_metrics(metrics)]
    return kql_rows(rows, queries)


def kql_rows(rows: Sequence[Mapping[str, Any]], queries: Mapping[str, str]) -> Answer:
    """Return the rows that queries give over rows of the table AppMetrics."""
    given = {"rows": rows, "queries": queries}
    return called(query_kits(), ROOT / "tests/conformance/kits/queries/run_kql.py", given=given)


def names_in_prometheus(metrics: Iterable[Recorded]) -> set[str]:
    """Return what OpenTelemetry's own exporter calls them."""
    instruments = [{"name": each.name, "kind": each.kind.value, "unit": each.unit} for each in metrics]
    return set(called(query_kits(), ROOT / "tests/conformance/kits/queries/prometheus_names.py", given=instruments))


def app_metrics(metrics: Iterable[Recorded]) -> Iterator[dict[str, Any]]:
    for metric in metrics:
        for point in metric.points:
            properties = {name: str(value) for name, value in (point.attributes or {}).items()}
            row = {"name": metric.name, "properties": properties}
            if isinstance(point, HistogramDataPoint):
                yield row | {"sum": point.sum, "min": point.min, "max": point.max, "count": point.count}
            else:
                yield row | {"sum": point.value, "min": point.value, "max": point.value, "count": 1}


def exposition(metrics: Iterable[tuple[str, Recorded]], end_s: int) -> str:
    """Return metrics by their names in Prometheus as OpenMetrics text; the last sample is at `end_s`."""
    lines: list[str] = []
    for name, metric in metrics:
        family = name.removesuffix("_total")
        lines.append(f"# TYPE {family} {metric.kind.value}")
        for point in metric.points:
            labels = {"job": "ganglion", **(point.attributes or {})}
            lines.extend(samples(name, metric, point, labels, end_s))
    return "\n".join([*lines, "# EOF\n"])


def samples(name: str, metric: Recorded, point: Any, labels: Mapping[str, Any], end_s: int) -> Iterator[str]:
    parts: list[tuple[str, Mapping[str, Any], float]] = [(name, labels, getattr(point, "value", 0))]
    if isinstance(point, HistogramDataPoint):
        bounds, passed = [*point.explicit_bounds, math.inf], 0
        parts = [(f"{name}_sum", labels, point.sum), (f"{name}_count", labels, point.count)]
        for bound, count in zip(bounds, point.bucket_counts, strict=True):
            passed += count
            parts.append((f"{name}_bucket", {**labels, "le": "+Inf" if math.isinf(bound) else f"{bound}"}, passed))
    for part, named, value in parts:
        shown = ",".join(f'{label_of(key)}="{text_of(each)}"' for key, each in named.items())
        for step in range(STEPS + 1):
            grown = value if metric.kind is Kind.GAUGE else value * step / STEPS
            yield f"{part}{{{shown}}} {grown} {end_s - 60 * (STEPS - step)}"


def label_of(name: str) -> str:
    return name.replace(".", "_")


def text_of(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def prometheus(folder: Path, text: str) -> Generator[httpx.Client]:
    """Run a Prometheus that holds the samples of an OpenMetrics text; yields a client of its HTTP API."""
    programs = Path(run("scripts/prometheus.sh").strip())
    metrics, data, settings = folder / "metrics.txt", folder / "data", folder / "prometheus.yml"
    metrics.write_text(text)
    settings.write_text("global: {}\n")
    run(programs / "promtool", "tsdb", "create-blocks-from", "openmetrics", metrics, data)
    address = f"127.0.0.1:{free_port()}"
    options = (f"--config.file={settings}", f"--storage.tsdb.path={data}", f"--web.listen-address={address}")
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([programs / "prometheus", *options], stdout=log, stderr=log)  # noqa: S603 - Debian's
    try:
        with httpx.Client(base_url=f"http://{address}", trust_env=False) as client:
            wait_until_ready(client)
            yield client
    finally:
        server.terminate()
        server.wait(30)


@retry(wait=wait_fixed(0.1), stop=stop_after_delay(60))
def wait_until_ready(client: httpx.Client) -> None:
    client.get("/-/ready").raise_for_status()


def asked(client: httpx.Client, query: str, at_s: int) -> Sequence[dict[str, Any]]:
    """Return the series of an instant query: `metric` (labels) and `value` (time, text)."""
    answer = client.get("/api/v1/query", params={"query": query, "time": at_s}).json()
    assert answer["status"] == "success", answer
    return answer["data"]["result"]


def run(*command: str | Path) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603 - ours
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
