"""Does each check of a configuration file name its fault alone?"""

import pytest

from ganglion.doctor.command import examine
from tests.ganglion.doctor.faults import HOST, Break, check_that_names_alone, edit, found
from tests.ganglion.doctor.harness import APP, Case, json_answer


def wrong_budget_file(case: Case) -> None:
    file = case.root / "budgets.toml"
    file.write_text("[tenants.one]\nowner_month = -7\n", encoding="utf-8")
    case.variables["GANGLION_BUDGETS"] = str(file)


def no_backend(case: Case) -> None:
    for name in ("CLOUD_RUN_L4", "AZURE_OPENAI", "BEDROCK"):
        del case.variables[f"GANGLION_{name}_URL"]
    case.outside.answers[f"{APP}/readyz"] = json_answer({"status": "ok", "backends": []})


FAULTS: dict[str, Break] = {
    "files.prices": edit("prices.toml", 'kind = "per_second"', 'kind = "per_century"'),
    "files.systems": edit("systems.toml", "[systems.bedrock]", "[systems.bedrock]\ncolour = 1"),
    "files.fleet": edit("fleet.toml", "decode_tokens_s = 80", "decode_tokens_s = -1"),
    "files.sources": edit("sources.toml", "max_rows = 20", "max_rows = 0"),
    "files.webhooks": edit("webhooks.toml", "secrets =", "secretes ="),
    "files.tools": edit("tools.toml", 'approval = "never"', 'approval = "perhaps"'),
    "files.pipelines": edit("pipelines.toml", 'trigger = "queue"', 'trigger = "mail"'),
    "files.budgets": wrong_budget_file,
    "files.price_age": edit("prices.toml", 'date = "2026-08"', 'date = "2026-01"'),
    "files.tokenizers": edit("fleet.toml", "tier = 3", 'tier = 3\ntokenizer = "missing.json"'),
    "files.host": edit("host.json", '"version"', "version"),
    "host.route_prefix": edit("host.json", '"routePrefix": ""', '"routePrefix": "api"'),
    "host.bundle": edit("host.json", "ExtensionBundle", "Preview"),
    "host.versions": edit("host.json", "CurrentOrOlder", "Strict"),
    "backends.enabled": no_backend,
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_named_by_its_check_alone(case: Case, name: str) -> None:
    assert await check_that_names_alone(case, FAULTS[name]) == name


async def test_a_hub_in_azure_storage_that_is_polled_rarely_is_named(case: Case) -> None:
    del case.variables[f"{HOST}storageProvider__type"]
    case.edit("host.json", "00:00:05", "00:00:30")
    assert list(await found(case)) == ["host.polling"]


async def test_a_finding_of_a_file_names_its_line(case: Case) -> None:
    FAULTS["files.prices"](case)
    file = case.root / "prices.toml"
    line = next(number for number, text in enumerate(file.read_text().splitlines(), 1) if "per_century" in text)
    (result,) = (each for each in await examine(case.subject()) if each.faults)
    assert result.faults[0].text.startswith(f"{file}:{line}: prices.")
