"""Which queue starts a pipeline, and which names and addresses are named as mistakes?"""

from typing import Any

import pytest

from domain.config.pipelines.storage_rows import check_place, read_queue
from domain.config.toml_table import TomlTable
from domain.pipelines.queue_trigger import HOST_STORAGE


def table(**values: Any) -> TomlTable:
    return TomlTable("pipelines.mail", values, [])


def test_a_queue_is_in_the_storage_of_the_host_unless_another_is_named() -> None:
    assert read_queue(table(queue="orders"), {}).connection == HOST_STORAGE
    assert read_queue(table(queue="orders", connection="Mail_Storage"), {}).connection == "Mail_Storage"


def test_a_variable_in_a_name_is_replaced_and_one_that_is_not_set_is_left_alone() -> None:
    one = table(queue="%MAIL%-in")
    assert read_queue(one, {"MAIL": "orders"}).name == "orders-in"
    assert read_queue(one, {}).name == "%MAIL%-in"
    assert one.problems == []


@pytest.mark.parametrize("name", ["Orders", "ab", "a--b", "-abc", "abc-", "a_b", "x" * 64])
def test_a_name_that_no_queue_has_is_a_mistake(name: str) -> None:
    one = table(queue="%MAIL%")
    read_queue(one, {"MAIL": name})
    (problem,) = one.problems
    assert problem.startswith("pipelines.mail.queue: expected 3 to 63 of a-z, 0-9 and single hyphens, found ")
    assert name in problem


@pytest.mark.parametrize("connection", ["1st", "Mail Storage", "Mail-Storage", "x" * 65, "__"])
def test_a_connection_is_the_beginning_of_names_of_settings(connection: str) -> None:
    one = table(queue="orders", connection=connection)
    read_queue(one, {})
    assert len(one.problems) == 1
    assert one.problems[0].startswith("pipelines.mail.connection: ")


def test_a_wrong_address_is_shown_without_its_key() -> None:
    one = table()
    check_place(one, "sink", "https://account.blob.core.windows.net/answers?sig=SECRET")
    check_place(one, "sink", "http://account.blob.core.windows.net/answers")
    check_place(one, "sink", "https://account.blob.core.windows.net/Answers")
    assert len(one.problems) == 3
    assert "SECRET" not in "".join(one.problems)


def test_a_right_address_and_one_with_a_variable_are_no_mistakes() -> None:
    one = table()
    for address in ("https://account.queue.core.windows.net/answers", "http://%ACCOUNT%/Answers"):
        check_place(one, "sink", address)
    assert one.problems == []
