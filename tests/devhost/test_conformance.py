"""Does one app with all features run like on Azure, and does every rule name tests that exist?"""

import re
import subprocess
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.devhost.hosts import REPOSITORY, Durable, RunningHost, running, until

RULES = REPOSITORY / "devhost" / "RULES.md"
NAMED = re.compile(r"`(test_\w+)\.(test_\w+)`")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    with running("conformance", tmp_path_factory.mktemp("conformance")) as host:
        yield host


@pytest.fixture
def client(host: RunningHost) -> Iterator[httpx.Client]:
    with host.client() as client:
        yield client


def test_bound_methods_start_and_run_orchestrations_of_bound_activities(client: httpx.Client) -> None:
    answer = client.post("/stories", json={"words": ["once", "upon"]})
    assert answer.status_code == 202
    assert Durable(http=client).wait(answer.json()["id"])["output"] == "once! upon!"


def test_a_timer_of_a_bound_method_has_a_durable_client(client: httpx.Client) -> None:
    assert client.post("/admin/functions/nightly?wait=true").status_code == 200
    assert Durable(http=client).wait("by-the-timer")["output"] == "night!"


def test_a_guard_around_a_bound_method_handles_unexpected_exceptions(client: httpx.Client) -> None:
    answer = client.get("/fails")
    assert (answer.status_code, answer.json()) == (500, {"error": "not expected"})


def test_a_completed_id_started_again_runs_again(client: httpx.Client) -> None:
    for words, told in ((["a"], "a!"), (["b"], "b!")):
        assert client.post("/stories", json={"id": "twice", "words": words}).status_code == 202
        until(lambda told=told: Durable(http=client).status("twice").get("output") == told, f"{told} is told")


def test_unknown_paths_and_methods_reach_the_last_function_by_name(client: httpx.Client) -> None:
    assert client.get("/no/where").json() == {"method": "GET", "path": "no/where"}
    assert client.delete("/stories").json() == {"method": "DELETE", "path": "stories"}
    assert client.get("/ticks/many").json() == {"method": "GET", "path": "ticks/many"}


def test_the_durable_client_answers_a_generator_whose_function_has_returned(client: httpx.Client) -> None:
    instance = client.post("/stories", json={"words": ["followed"]}).json()["id"]
    Durable(http=client).wait(instance)
    assert client.get(f"/follows/{instance}").text.split() == ["begun", "Completed"]


def test_one_call_that_blocks_freezes_every_stream(host: RunningHost, client: httpx.Client) -> None:
    def block() -> None:
        with host.client() as other:
            other.get("/blocks")

    blocking = threading.Thread(target=block)
    ticks: list[float] = []
    with client.stream("GET", "/ticks/10000") as answer:
        for line in filter(None, answer.iter_lines()):
            ticks.append(float(line.removeprefix("data: ")))
            if len(ticks) == 1:
                blocking.start()
            elif not blocking.is_alive():
                break
    blocking.join()
    assert max(after - before for before, after in pairwise(ticks)) >= 0.5


CLASSIC = """
import azure.durable_functions as df
import azure.functions as func
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, Response, StreamingResponse
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""
UNLOADABLE = {
    "Function twin does not have a unique function name": """
@app.route(route="a")
def twin(req: Request) -> Response: ...
@app.activity_trigger(input_name="word")
def one(word): ...
app.function_name("twin")(app.activity_trigger(input_name="word")(lambda word: word))
""",
    "has invalid non-type return annotation": """
@app.route(route="a")
async def a(req: Request) -> JSONResponse | StreamingResponse: ...
""",
    "binding word has invalid non-type annotation dict[str, str] | None": """
@app.activity_trigger(input_name="word")
def a(word: dict[str, str] | None) -> str: ...
""",
    "do not match the corresponding function parameter's Python type annotation HttpRequest": """
@app.route(route="a")
async def a(req: func.HttpRequest) -> Response: ...
""",
}


@pytest.mark.campaign
@pytest.mark.parametrize("told", UNLOADABLE)
def test_an_app_that_azure_would_not_load_is_not_loaded_here(tmp_path: Path, told: str) -> None:
    (tmp_path / "function_app.py").write_text(CLASSIC + UNLOADABLE[told], encoding="utf-8")
    command = RunningHost(app=tmp_path, folder=tmp_path).command
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own program
    assert ended.returncode == 1
    assert told in ended.stderr


def test_every_rule_names_tests_that_exist() -> None:
    named = NAMED.findall(RULES.read_text(encoding="utf-8"))
    assert len(named) > 50
    for module, test in named:
        (path,) = Path(__file__).parent.rglob(f"{module}.py")
        source = path.read_text(encoding="utf-8")
        assert f"def {test}(" in source, f"{module}.{test}"
