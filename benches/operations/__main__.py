"""How soon does telemetry arrive after a start, and how long does the doctor take?

`python -m benches.operations [RUNS]`: the application under the local host, with scripted models and an OTLP receiver.
The worker is killed, and a request of a trace of its own follows at once: it is answered when the next worker has
started, and its span arrives after that. The doctor examines the same application.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from benches.command_line import chosen_number, counted
from benches.tables import print_table
from settings import ROOT
from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import ClusterOptions
from tests.telemetry.otlp_receiver import Receiver, receiving

RUNS = 3
GIVEN_UP_S = 120.0


def first_span_s(cluster: LocalCluster, receiver: Receiver, number: int) -> tuple[float, float]:
    """Replace the worker; return the seconds until the next one answers, and from then until its span has arrived."""
    trace = f"{number + 1:032x}"
    cluster.kill_worker()
    started = time.perf_counter()
    headers = {"traceparent": f"00-{trace}-{1:016x}-01"}
    answer = httpx.get(f"{cluster.base_url}/healthz", headers=headers, timeout=GIVEN_UP_S)
    assert answer.status_code == 200
    answered = time.perf_counter()
    while trace not in {span.trace_id for span in receiver.spans()}:
        assert time.perf_counter() - answered < GIVEN_UP_S
        time.sleep(0.01)
    return answered - started, time.perf_counter() - answered


def doctor_s(cluster: LocalCluster) -> float:
    given = {"PATH": os.environ["PATH"], "PORT": str(cluster.port), "GANGLION_ACCESS_TOKEN": cluster.token()}
    started = time.perf_counter()
    command = (sys.executable, "-m", "ganglion", "doctor", "--json")
    done = subprocess.run(command, env=given, cwd=ROOT, capture_output=True, check=False)  # noqa: S603 - our own module
    assert done.returncode == 0, done.stdout
    return time.perf_counter() - started


def main() -> None:
    runs = chosen_number(RUNS, "runs")
    with tempfile.TemporaryDirectory() as scratch, receiving() as receiver:
        environment = {"GANGLION_TELEMETRY": "standard", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
        options = ClusterOptions(data=Path(scratch), cold="1", warm_models=True, environment=environment)
        with LocalCluster(options) as cluster:
            spans = [first_span_s(cluster, receiver, number) for number in counted(range(runs), "starts")]
            examined = [doctor_s(cluster) for _ in counted(range(runs), "runs of the doctor")]
    print_table(
        ("measure", "seconds", "limit"),
        [
            ("start of the app, until its first answer", f"{statistics.median(start for start, _ in spans):.1f}", ""),
            ("first span after that", f"{statistics.median(span for _, span in spans):.1f}", "5"),
            ("doctor against the stand-ins", f"{statistics.median(examined):.1f}", "30"),
        ],
    )


if __name__ == "__main__":
    main()
