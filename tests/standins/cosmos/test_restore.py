"""Are the turns and the bills back after a container was deleted and the runbook's commands were run?"""

import asyncio
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clients.storage.cosmos.account import connected
from clients.storage.cosmos.settings import CosmosAccount
from clients.storage.cosmos.setup import set_up
from clients.storage.cosmos.store import CosmosStore
from clients.storage.port import DocumentStore
from clients.storage.sqlite.store import SqliteStore
from settings import ROOT
from standins.cosmos.restore import RestoreError, changes_until, restore
from tests.api.harness import Api, api
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.servers.cosmos import local_cosmos, start

BACKUP = re.compile(r"^(python -m (?:sqlite3|standins\.cosmos\.restore) .+)$", re.MULTILINE)


def runbook_command(program: str, **values: str | Path) -> list[str]:
    """Return a command of the runbook with the values of this test in place of its own."""
    commands = BACKUP.findall((ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8"))
    (command,) = (each for each in commands if program in each)
    for old, new in values.items():
        assert old in command, (old, command)
        command = command.replace(old, str(new))
    return [sys.executable, *shlex.split(command)[1:]]


def run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - ours
    assert done.returncode == 0, done.stderr


def serving(store: DocumentStore, clock: FakeClock) -> Api:
    return api(FakeBackend(*(says("four and twenty") for _ in range(3))), store=store, clock=clock)


async def turn(one: Api) -> str:
    answer = await one.create({"model": "model", "input": "hi"})
    assert answer.status_code == 200, answer.text
    await one.orchestrations.ended()
    return answer.json()["id"]


async def seen(one: Api, *turns: str) -> Mapping[str, Any]:
    """Return what callers see of turns, their streams and bills, and of the money of the tenant."""
    paths = [f"/v1/responses/{each}{end}" for each in turns for end in ("", "?stream=true", "/input_items")]
    answers = {path: await one.http.get(path) for path in (*paths, "/v1/usage", "/v1/budgets")}
    bills = {each: (await one.http.get(f"/v1/responses/{each}/route")).json()["bill"] for each in turns}
    assert {answer.status_code for answer in answers.values()} == {200}
    return {**{path: answer.text for path, answer in answers.items()}, **bills}


async def gone(one: Api, identifier: str) -> bool:
    return (await one.http.get(f"/v1/responses/{identifier}")).status_code != 200


async def delete_container(account: CosmosAccount, name: str) -> None:
    async with connected(account, now=time.time()) as client:  # noqa: TID251 - the server goes by the real time
        await client.get_database_client(account.database).delete_container(name)


def put_back(backup: Path, file: Path) -> None:
    """Replace a store by its copy, as the runbook says."""
    for each in file.parent.glob("app.db*"):
        each.unlink()
    backup.rename(file)


@contextmanager
def server(folder: Path) -> Generator[CosmosAccount]:
    child, cosmos = start(folder)
    try:
        yield cosmos.account()
    finally:
        child.stop()


@pytest.mark.slow
async def test_a_deleted_container_is_restored_into_another_account_and_the_bills_agree(tmp_path: Path) -> None:
    local_cosmos()
    clock = FakeClock()
    first, second = tmp_path / "first", tmp_path / "second"
    for each in (first, second):
        each.mkdir()
    with server(first) as account:
        await set_up(account, now=time.time())  # noqa: TID251 - as above
        store = CosmosStore(account, clock)
        one = serving(store, clock)
        turns = [await turn(one) for _ in range(2)]
        before = await seen(one, *turns)
        await asyncio.sleep(0.01)
        good = time.time()  # noqa: TID251 - the journal has the real time
        await asyncio.sleep(0.01)
        late = await turn(one)
        await delete_container(account, "turns")
        assert await gone(one, turns[0])
        await store.close()
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(good)) + f".{int(good % 1 * 1e6):06d}Z"
    values = {".run/7071": first, "2026-11-29T10:00:00Z": moment, ".run/restored": second}
    run(runbook_command("standins.cosmos.restore", **values))
    with server(second) as account:
        await set_up(account, now=time.time())  # noqa: TID251 - as above
        store = CosmosStore(account, clock)
        one = serving(store, clock)
        assert await seen(one, *turns) == before
        assert await gone(one, late)
        assert not await gone(one, await turn(one))
        await store.close()


async def test_a_sqlite_store_is_backed_up_while_it_is_used_and_restored(tmp_path: Path) -> None:
    clock, file, backup = FakeClock(), tmp_path / "app.db", tmp_path / "backup.db"
    store = SqliteStore(file, clock)
    one = serving(store, clock)
    turns = [await turn(one) for _ in range(2)]
    before = await seen(one, *turns)
    run(runbook_command("sqlite3", **{".run/7071/app.db": file, "backup.db": backup}))
    late = await turn(one)
    await store.close()
    put_back(backup, file)
    store = SqliteStore(file, clock)
    one = serving(store, clock)
    assert await seen(one, *turns) == before
    assert await gone(one, late)
    assert not await gone(one, await turn(one))
    await store.close()


def test_an_account_is_restored_once_and_only_from_one_that_exists(tmp_path: Path) -> None:
    with pytest.raises(RestoreError, match=r"journal\.jsonl does not exist"):
        restore(tmp_path / "none", tmp_path / "new", at=0)
    (tmp_path / "old" / "cosmos").mkdir(parents=True)
    (tmp_path / "old" / "cosmos" / "journal.jsonl").write_text('{"at": 1}\n{"at": 3}\n{"broken\n')
    assert restore(tmp_path / "old", tmp_path / "new", at=2) == 1
    with pytest.raises(RestoreError, match="has an account already"):
        restore(tmp_path / "old", tmp_path / "new", at=2)


def test_a_change_without_a_time_is_older_than_any_moment() -> None:
    assert list(changes_until(['{"place": "x"}', '{"at": 9}'], 5)) == ['{"place": "x"}']
