"""Does the doctor find nothing wrong behind the healthy stand-in of each system, and name each fault behind it?

The stand-ins, the product's client and the shipped tables are real; the rest of the application is a healthy one.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from clients.backends.credentials import HttpCall
from clients.backends.port import BackendClient
from domain.fleet.catalog import Backend
from ganglion.doctor.checks import CHECKS
from ganglion.doctor.command import as_text, backend_lines
from ganglion.doctor.findings import Result, result_of
from ganglion.doctor.outside import Answer, request
from ganglion.doctor.subject import Subject
from settings import Settings
from standins.systems.doors import DOORS
from standins.systems.identities import REGION, SECRET, Aws, Everybody
from tests.checks import every
from tests.contracts.backends.scene import CONTEXT, FLEET, PROMPTED, TEMPLATE, UNCOUNTED, KeyRing
from tests.fakes.backends import http_backend
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.ganglion.doctor.harness import FakeOutside, healthy_case
from tests.standins.systems.serving import ServedSystems, served_systems

SYSTEMS = sorted(DOORS)
SLEEPING = [name for name in SYSTEMS if DOORS[name].asleep]
REFUSING = [name for name in SYSTEMS if not isinstance(DOORS[name].identity, Everybody)]
WIRES = ("openai", "openai-responses", "bedrock-converse", "sagemaker-invocations", "lambda-invoke", "triton-generate")
BACKEND_CHECKS = [check for check in CHECKS if check.name.startswith("backends.")]

pytestmark = pytest.mark.slow


@dataclass(slots=True, kw_only=True)
class DoorOutside(FakeOutside):
    """Reaches the stand-ins as the product does, with credentials of the test."""

    ring: KeyRing

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        return await request("GET", url, headers=headers or {})

    async def credentials(self, settings: Settings, backend: Backend, url: str) -> Mapping[str, str]:
        assert settings.token_audience
        return await self.ring.header(backend, HttpCall(method="GET", url=url))

    @asynccontextmanager
    async def model(self, settings: Settings, backend: Backend) -> AsyncGenerator[BackendClient]:
        assert settings.token_audience
        async with httpx.AsyncClient(trust_env=False, verify=CONTEXT) as http:
            yield http_backend(backend, http, silence_s=5, credentials=self.ring)


def entry(served: ServedSystems, system: str) -> str:
    auth = (
        f'auth = {{ region = "{REGION}" }}' if isinstance(DOORS[system].identity, Aws) else 'auth = { kind = "none" }'
    )
    more = f"{auth}\nserved_model = 'scripted'\n{TEMPLATE if system in PROMPTED else ''}"
    price = "cloud-run-l4" if system in UNCOUNTED else "scripted"
    text = FLEET.format(system=system, url=served.url(system), price=price, auth=more)
    _, _, backend = text.partition("[backends.one]")
    return f"[backends.{system.replace('.', '-')}]{backend}"


MODEL = '[models.scripted]\ncontext_tokens = 32768\ntier = 1\ncapabilities = ["json_schema"]\n'


@asynccontextmanager
async def examined(
    root: Path, *systems: str, rate: float = 0.0, is_wrong: bool = False, is_awake: bool = True
) -> AsyncGenerator[tuple[Subject, ServedSystems]]:
    """Serve the stand-ins, and a fleet with one backend of each of these systems."""
    case = healthy_case(root)
    secret = "another" if is_wrong else SECRET
    async with served_systems(start_s=60, rate=rate) as served:
        for name in systems if is_awake else ():
            await served.awake(name)
        fleet = "\n".join([MODEL, *(entry(served, name) for name in systems)])
        (root / "fleet.toml").write_text(fleet, encoding="utf-8")
        case.variables |= {"MODAL_KEY": secret, "MODAL_SECRET": secret}
        case.outside = DoorOutside(store_port=MemoryStore(FakeClock()), ring=KeyRing(is_wrong=is_wrong))
        yield case.subject(), served


async def results(subject: Subject) -> Sequence[Result]:
    return [await result_of(check, subject) for check in BACKEND_CHECKS]


async def texts(subject: Subject) -> dict[str, list[str]]:
    found = await results(subject)
    return {each.check.name: [fault.text for fault in each.faults] for each in found if each.faults}


async def test_a_healthy_fleet_of_all_systems_has_one_line_for_each_backend(tmp_path: Path) -> None:
    async with examined(tmp_path, *SYSTEMS) as (subject, _):
        found = await results(subject)
        lines = await backend_lines(subject, found)
    assert [(each.check.name, fault.text) for each in found for fault in each.faults] == []
    names = [name.replace(".", "-") for name in SYSTEMS]
    assert [line.split(":")[0] for line in lines] == [f"passed   backends.{name}" for name in names]
    assert every("it answers" in line for line in lines)
    assert as_text(found, subject.target, lines).startswith("passed   backends.azure-ml: it answers")


@pytest.mark.parametrize("name", REFUSING)
async def test_wrong_credentials_are_named(tmp_path: Path, name: str) -> None:
    async with examined(tmp_path, name, is_wrong=True) as (subject, _):
        found = await texts(subject)
    (text,) = [text for texts_of in found.values() for text in texts_of]
    assert text.startswith(f"backends.{name}.")
    assert "credentials" in text or "may not call it" in text
    assert SECRET not in text


@pytest.mark.parametrize("name", SLEEPING)
async def test_a_start_is_a_warning_and_no_fault(tmp_path: Path, name: str) -> None:
    async with examined(tmp_path, name, is_awake=False) as (subject, _):
        found = {each.check.name: each.faults for each in await results(subject)}
    ((fault,),) = [faults for faults in found.values() if faults]
    assert fault.severity.value == "warning"
    assert "the backend is starting" in fault.text


@pytest.mark.parametrize("name", ["openai", "vllm", "azure-ml-serverless", "hf-providers"])
async def test_a_field_that_a_model_refuses_is_named_with_its_setting(tmp_path: Path, name: str) -> None:
    words = b'{"error": {"message": "Unsupported parameter: \'max_tokens\'", "code": "unsupported_parameter"}}'
    async with examined(tmp_path, name) as (subject, served):
        served.systems.refusals[name] = (400, words)
        found = await texts(subject)
    ((text,),) = found.values()
    assert text == (f'backends.{name}.output_limit: the backend refuses it; set output_limit = "max_completion_tokens"')


@pytest.mark.parametrize("name", WIRES)
async def test_a_model_that_fails_is_named_and_shows_no_account(tmp_path: Path, name: str) -> None:
    async with examined(tmp_path, name) as (subject, served):
        served.systems.refusals[name] = (500, b"out of memory")
        found = await texts(subject)
    ((check, (text,)),) = found.items()
    assert check in ("backends.probe", "backends.answer")
    assert text.startswith(f"backends.{name}")
    assert "123456789012" not in text


@pytest.mark.parametrize("name", ["vllm", "bedrock-converse"])
async def test_a_backend_that_is_slower_than_the_file_says_is_named(tmp_path: Path, name: str) -> None:
    async with examined(tmp_path, name, rate=12) as (subject, _):
        found = await texts(subject)
    assert [*found] == ["backends.speed"]
    assert "correct decode_tokens_s" in found["backends.speed"][0]


async def test_a_name_that_a_backend_does_not_list_is_named(tmp_path: Path) -> None:
    async with examined(tmp_path, "openai") as (subject, _):
        file = tmp_path / "fleet.toml"
        file.write_text(file.read_text(encoding="utf-8").replace("'scripted'", "'another'"), encoding="utf-8")
        found = await texts(subject)
    assert found == {
        "backends.models": ["backends.openai.served_model: the backend does not list 'another', but scripted"]
    }
