"""Is an error of the database that passes by itself told apart from a defect, and is an outage said once?"""

import sqlite3
from collections.abc import Callable

import pytest

from devhost.engine.model.instances import TaskHubUnavailableError
from devhost.engine.storage.outage import StorageOutage, call, is_transient

IOERR_FSYNC = sqlite3.SQLITE_IOERR | (4 << 8)
"""An extended code: https://www.sqlite.org/rescode.html#ioerr_fsync."""


def failed(code: int | None) -> sqlite3.Error:
    error = sqlite3.OperationalError("it failed")
    if code is not None:
        error.sqlite_errorcode = code
    return error


def raising(error: Exception) -> Callable[[], None]:
    def step() -> None:
        raise error

    return step


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, IOERR_FSYNC])
def test_a_full_or_locked_disk_passes_by_itself(code: int) -> None:
    assert is_transient(failed(code))
    with pytest.raises(TaskHubUnavailableError, match="it failed"):
        call(raising(failed(code)))


@pytest.mark.parametrize(
    "error",
    [
        failed(sqlite3.SQLITE_CORRUPT),
        failed(sqlite3.SQLITE_CONSTRAINT),
        failed(sqlite3.SQLITE_ERROR),
        failed(None),
        ValueError("a defect"),
    ],
)
def test_a_corrupt_file_and_a_defect_do_not(error: Exception) -> None:
    assert not is_transient(error)
    with pytest.raises(type(error)):
        call(raising(error))


def test_the_first_and_the_last_step_of_an_outage_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    outage, error = StorageOutage(), TaskHubUnavailableError("disk is full")
    with outage.wait(error):
        with outage.wait(error):
            assert (outage.waiting, outage.reason) == (2, "disk is full")
        assert outage.reason == "disk is full"
    assert (outage.waiting, outage.reason) == (0, None)
    written = capsys.readouterr()
    lines = (written.out + written.err).splitlines()
    assert [line.partition("task hub's database ")[2].split(" ")[0] for line in lines] == ["fails", "works"]
    assert "fails (disk is full): its steps are repeated until they succeed" in lines[0]
