"""Tests the lines that the host's log gets from the app."""

import logging
import sys

from devhost.console import AppLogFormatter, stamped
from devhost.worker.__main__ import is_warning

AT = 1_796_042_040.5


def record(level: int, text: str, *args: object) -> logging.LogRecord:
    made = logging.LogRecord("ganglion", level, __file__, 1, text, args, None)
    made.created = AT
    return made


def test_a_line_of_the_app_has_the_time_like_a_line_of_the_host() -> None:
    assert AppLogFormatter().format(record(logging.INFO, "%d turns", 2)) == stamped(AT, "2 turns")
    assert stamped(AT, "2 turns") == "[12:34:00.500] 2 turns"


def test_a_warning_and_an_error_are_named() -> None:
    assert AppLogFormatter().format(record(logging.WARNING, "slow")) == "[12:34:00.500] warning: slow"
    assert AppLogFormatter().format(record(logging.ERROR, "lost")) == "[12:34:00.500] error: lost"


def test_an_exception_follows_its_line() -> None:
    failed = record(logging.ERROR, "lost")
    try:
        int("wrong")
    except ValueError:
        failed.exc_info = sys.exc_info()
    first, *rest = AppLogFormatter().format(failed).splitlines()
    assert first == "[12:34:00.500] error: lost"
    assert rest[-1].startswith("ValueError: ")


def test_the_inner_address_that_uvicorn_announces_is_no_line_of_the_log() -> None:
    assert not is_warning(record(logging.INFO, "Uvicorn running on %s", "http://127.0.0.1:42363"))
    assert is_warning(record(logging.ERROR, "Exception in ASGI application"))
