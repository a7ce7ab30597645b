"""What does OpenTelemetry's own exporter for Prometheus call the given instruments? JSON in and out."""

import json
import sys

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY


def main(instruments: list[dict[str, str]]) -> None:
    meter = MeterProvider([PrometheusMetricReader()]).get_meter("names")
    record = {
        "counter": lambda name, unit: meter.create_counter(name, unit).add(1),
        "gauge": lambda name, unit: meter.create_gauge(name, unit).set(1),
        "histogram": lambda name, unit: meter.create_histogram(name, unit).record(1),
    }
    for each in instruments:
        record[each["kind"]](each["name"], each["unit"])
    json.dump(sorted({sample.name for family in REGISTRY.collect() for sample in family.samples}), sys.stdout)


main(json.load(sys.stdin))
