"""Which destinations do the variables of OpenTelemetry and of Azure name, and which ones get no telemetry?"""

import pytest
from opentelemetry.sdk.trace import TracerProvider

from telemetry.destinations import EXPORTER_MISSING, destinations, is_installed, one_line, span_processors

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


def signals(environment: dict[str, str], choice: str = "standard") -> list[tuple[bool, bool]]:
    """Return of each destination whether it takes spans, and whether it takes metrics."""
    found = destinations(choice, environment)
    return [(each.span_exporter is not None, each.metric_exporter is not None) for each in found]


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, []),
        (ENDPOINT, [(True, True)]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, [(True, False)]),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:1"}, [(False, True)]),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, [(False, True)]),
        ({**ENDPOINT, "OTEL_METRICS_EXPORTER": "prometheus"}, [(True, False)]),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "console, otlp", "OTEL_METRICS_EXPORTER": ""}, [(True, True)]),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}, []),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"}, [(True, False)]),
        (
            {**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
            [(True, False)],
        ),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, []),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "no"}, [(True, True)]),
    ],
)
def test_the_standard_variables_say_which_signals_are_sent(
    environment: dict[str, str], found: list[tuple[bool, bool]]
) -> None:
    assert signals(environment) == found


def test_the_setting_counts_before_the_variables() -> None:
    assert signals(ENDPOINT, "none") == []
    assert signals({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, "console") == [(True, True)]


def test_a_connection_string_without_its_exporter_is_named_in_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert not is_installed("azure.monitor.opentelemetry.exporter")
    environment = {"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=0"}
    assert destinations("standard", environment) == ()
    assert caplog.messages == [EXPORTER_MISSING]
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in EXPORTER_MISSING


def test_a_protocol_that_is_not_spoken_is_named(caplog: pytest.LogCaptureFixture) -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert destinations("standard", environment) == ()
    assert set(caplog.messages) == {
        "OTEL_EXPORTER_OTLP_PROTOCOL: expected http/protobuf, found 'grpc'; no telemetry is sent there"
    }


def test_a_package_is_found_without_being_imported() -> None:
    assert is_installed("opentelemetry.sdk.trace")
    assert not is_installed("opentelemetry.sdk.nothing.here")
    assert not is_installed("nothing.here")


def test_a_span_is_one_line() -> None:
    spans = TracerProvider().get_tracer("test")
    with spans.start_as_current_span("two\nlines") as span:
        pass
    assert one_line(span).count("\n") == 1  # pyright: ignore[reportArgumentType] - the SDK's own span


def test_a_destination_of_metrics_alone_gets_no_spans() -> None:
    metrics = destinations("standard", {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:1"})
    assert span_processors(metrics, {}) == []
