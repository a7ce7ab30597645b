"""Does an app run that uses the names of older programming models?"""

from pathlib import Path

from tests.devhost.hosts import Durable, running


def test_older_bindings_and_plain_results_work_as_on_the_real_host(tmp_path: Path) -> None:
    with running("legacy", tmp_path) as host, host.client() as client:
        answer = client.post("/api/starts")
        assert answer.status_code == 202, host.log
        found = Durable(http=client).wait(answer.json()["id"])
        assert found["output"] == ["plain text", 1, "AAE=", None]
        assert "function text has a binding that is not supported: twilioSms" in host.log
        assert "orchestrationClient" not in host.log
