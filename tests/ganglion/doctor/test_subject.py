"""Is a part that cannot be read reported once, by its own check, and are settings read where they come from?"""

from copy import replace
from pathlib import Path

import pytest

from domain.errors import ConfigurationError
from ganglion.doctor.subject import NotRunError, Subject, usable
from tests.ganglion.doctor.harness import healthy_case


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return healthy_case(tmp_path).subject()


def with_variables(subject: Subject, **variables: str) -> Subject:
    return Subject(replace(subject.target, variables={**subject.variables, **variables}), subject.outside)


def host_file(subject: Subject, text: str) -> Subject:
    (subject.target.root / "host.json").write_text(text, encoding="utf-8")
    return subject


def test_a_setting_of_the_environment_wins_over_the_file_of_the_host(subject: Subject) -> None:
    found = host_file(subject, '{"extensions": {"http": {"routePrefix": "api"}}}')
    assert found.host_setting("extensions", "http", "routePrefix") == "api"
    assert found.host_setting("extensions", "http", "none") is None
    assert found.host_setting("extensions", "http", "routePrefix", "deeper") is None
    name = "azurefunctionsjobhost__EXTENSIONS__http__routePrefix"
    assert with_variables(found, **{name: ""}).host_setting("extensions", "http", "routePrefix") == ""


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_file_of_the_host_that_cannot_be_read_is_another_checks_fault(subject: Subject, text: str) -> None:
    broken = host_file(subject, text)
    with pytest.raises(ConfigurationError, match=r"host\.json"):
        broken.read_host_file()
    with pytest.raises(NotRunError, match=r"correct the errors of files\.host first"):
        broken.host_setting("version")


def test_a_mistake_is_reported_by_the_check_that_is_named() -> None:
    def read() -> None:
        raise ConfigurationError(("wrong",))

    assert usable("files.fleet", lambda: 7) == 7
    with pytest.raises(NotRunError, match=r"^correct the errors of files\.fleet first$"):
        usable("files.fleet", read)


def test_a_command_changes_the_app_in_azure_or_this_shell(subject: Subject) -> None:
    here = Subject(replace(subject.target, app=""), subject.outside)
    there = Subject(replace(subject.target, app="app"), subject.outside)
    assert (here.set_command("A", "1"), here.remove_command("A")) == ("export A=1", "unset A")
    assert there.set_command("A", "1").endswith("set --name app --resource-group GROUP --settings A=1")
    assert there.remove_command("A").endswith("delete --name app --resource-group GROUP --setting-names A")


async def test_azure_is_asked_about_a_named_app_alone(subject: Subject) -> None:
    nameless = Subject(replace(subject.target, app=""), subject.outside)
    with pytest.raises(NotRunError, match="use --app NAME"):
        await nameless.azure("functionapp", "show")
    local = Subject(replace(subject.target, variables={}), subject.outside)
    with pytest.raises(NotRunError, match="it concerns an app in Azure; use --app NAME"):
        local.needs_azure()
    assert with_variables(local, WEBSITE_INSTANCE_ID="1").on_azure
