"""Does a panel read a metric under the name and labels that Prometheus derives, with a query of the right form?"""

from copy import replace

import pytest

from scripts.boards.panels import Kind, Measure, Metric, Panel
from scripts.boards.promql import promql

TURNS = Metric(name="ganglion.turns", kind=Kind.COUNTER, unit="{turn}")
LATENCY = Metric(name="gen_ai.server.time_to_first_token", kind=Kind.HISTOGRAM, unit="s")
HELD = Metric(name="ganglion.budgets.held", kind=Kind.GAUGE, unit="{usd}")
ALL = Panel(group="g", title="t", metric=TURNS, measure=Measure.TOTAL)
JOB = 'job=~"$job"'
STEP = "[$__rate_interval]"


@pytest.mark.parametrize(
    ("panel", "query"),
    [
        (ALL, f"sum (increase(ganglion_turns_total{{{JOB}}}{STEP}))"),
        (
            replace(ALL, by="gen_ai.request.model", where={"error.type": "timeout"}),
            f'sum by (gen_ai_request_model) (increase(ganglion_turns_total{{{JOB}, error_type="timeout"}}{STEP}))',
        ),
        (
            replace(ALL, metric=LATENCY, measure=Measure.COUNT),
            f"sum (increase(gen_ai_server_time_to_first_token_seconds_count{{{JOB}}}{STEP}))",
        ),
        (
            replace(ALL, metric=LATENCY, measure=Measure.MEAN),
            (
                f"sum (rate(gen_ai_server_time_to_first_token_seconds_sum{{{JOB}}}{STEP}))"
                f" / sum (rate(gen_ai_server_time_to_first_token_seconds_count{{{JOB}}}{STEP}))"
            ),
        ),
        (
            replace(ALL, metric=LATENCY, measure=Measure.TOP, by="backend"),
            (
                "histogram_quantile(0.99, sum by (le, backend) "
                f"(rate(gen_ai_server_time_to_first_token_seconds_bucket{{{JOB}}}{STEP})))"
            ),
        ),
        (replace(ALL, metric=HELD, measure=Measure.TOP), f"max (ganglion_budgets_held{{{JOB}}})"),
        (
            replace(ALL, measure=Measure.SHARE, share_of=("result", "failed")),
            (
                f'(sum (increase(ganglion_turns_total{{{JOB}, result="failed"}}{STEP})) or vector(0))'
                f" / sum (increase(ganglion_turns_total{{{JOB}}}{STEP}))"
            ),
        ),
    ],
)
def test_each_measure_has_its_query(panel: Panel, query: str) -> None:
    assert promql(panel) == query
