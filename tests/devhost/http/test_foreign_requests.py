"""Which management requests are refused because another machine or web page sent them?"""

from collections.abc import Iterator

import httpx
import psutil
import pytest

from devhost.http.cors_policy import CorsPolicy
from devhost.http.foreign_requests import ForeignRequests
from tests.devhost.hosts import RunningHost, running

INSTANCES = "/runtime/webhooks/durabletask/instances"
START = "/runtime/webhooks/durabletask/orchestrators/naps"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    with running("keyed", tmp_path_factory.mktemp("foreign"), "--allow-host", "tunnel.example") as host:
        yield host


@pytest.fixture
def client(host: RunningHost) -> Iterator[httpx.Client]:
    with host.client() as client:
        yield client


CORS = CorsPolicy(origins=frozenset({"https://pages.example"}))


@pytest.mark.parametrize(
    ("host", "origin", "outcome"),
    [
        ("127.0.0.1:7071", None, "accepted"),
        ("LOCALHOST:7071", None, "accepted"),
        ("[::1]:7071", None, "accepted"),
        (None, None, "accepted"),
        ("Tunnel.Example", None, "accepted"),
        ("evil.example:7071", None, "refused"),
        ("127.0.0.1.evil.example", None, "refused"),
        ("localhost.evil.example", None, "refused"),
        ("evil@evil.example", None, "refused"),
        ("[", None, "refused"),
        ("", None, "refused"),
        ("localhost:7071", "http://localhost:7071", "accepted"),
        ("localhost:7071", "https://pages.example", "accepted"),
        ("localhost:7071", "http://localhost:3000", "refused"),
        ("localhost:7071", "http://evil.example", "refused"),
        ("localhost:7071", "null", "refused"),
        ("localhost:7071", "", "refused"),
    ],
)
def test_only_names_of_this_machine_and_allowed_origins_are_accepted(
    host: str | None, origin: str | None, outcome: str
) -> None:
    check = ForeignRequests(allowed=["tunnel.example"], cors=CORS)
    assert ("accepted" if check.rejection(host, origin) is None else "refused") == outcome


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null", "Host": "localhost"}]
)
def test_a_foreign_page_neither_starts_nor_reads_anything(client: httpx.Client, headers: dict[str, str]) -> None:
    refused = [client.post(f"{START}/foreign", headers=headers), client.get("/admin/host/status", headers=headers)]
    assert [answer.status_code for answer in refused] == [403, 403]
    assert "code=" not in refused[0].text
    assert client.get(f"{INSTANCES}/foreign").status_code == 404


def test_a_name_that_the_command_line_allows_is_accepted(client: httpx.Client) -> None:
    assert client.post(START, headers={"Host": "tunnel.example"}).status_code == 202


def test_functions_of_the_app_are_open_to_any_name(client: httpx.Client) -> None:
    assert client.get("/api/open", headers={"Host": "evil.example", "Origin": "http://evil.example"}).text == "open"


def test_the_listener_of_the_worker_rejects_foreign_host_names(host: RunningHost) -> None:
    assert host.process is not None
    listening = psutil.Process(host.process.pid).net_connections("tcp")
    [port] = {one.laddr.port for one in listening if one.status == psutil.CONN_LISTEN} - {host.state["port"]}
    rpc = f"http://127.0.0.1:{port}/durabletask/of/x"
    assert httpx.get(f"{rpc}/instances", headers={"Host": "evil.example"}).status_code == 403
    assert httpx.get(f"{rpc}/instances").status_code == 200
    unknown = httpx.put(f"{rpc}/instances")
    assert (unknown.status_code, unknown.content) == (404, b"")
