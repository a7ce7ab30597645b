"""Does a file count as its model does, without a cost for those who don't use it?"""

import asyncio
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from clients.tokenizers.tokenizer_file import PIECE, REMEMBERED, TokenizerFile
from tests.fakes.tokenizers import WORDS, train


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


async def loaded(path: Path) -> TokenizerFile:
    tokenizer = TokenizerFile(path)
    await tokenizer.loaded(30)
    return tokenizer


async def test_it_loads_in_the_background_once(file: Path) -> None:
    tokenizer = TokenizerFile(file)
    assert not tokenizer.is_loaded
    assert tokenizer.loading is None
    await asyncio.gather(*(tokenizer.loaded(30) for _ in range(5)))
    assert tokenizer.is_loaded
    first = tokenizer.loading
    tokenizer.begin_loading()
    assert tokenizer.loading is first


async def test_who_does_not_wait_goes_on_at_once(file: Path) -> None:
    tokenizer = TokenizerFile(file)
    assert await tokenizer.loaded(0) is tokenizer.is_loaded
    assert tokenizer.loading is not None


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        (" beta gamma", 2),
        (" Donaudampfschifffahrt 12345", 2),
        ("é", 2),
        ("\ud800", 1),
    ],
)
async def test_it_counts_as_the_library_does(file: Path, text: str, tokens: int) -> None:
    tokenizer = await loaded(file)
    assert (tokenizer.count(text), tokenizer.count(text)) == (tokens, tokens)


async def test_a_long_text_is_counted_in_pieces_of_bounded_memory(file: Path) -> None:
    tokenizer = await loaded(file)
    text = " " + " ".join(WORDS * 4000)
    assert len(text) > 3 * PIECE
    words = len(WORDS) * 4000
    assert words <= tokenizer.count(text) <= words + 10 * (len(text) // PIECE)


async def test_texts_are_counted_once_and_the_oldest_are_forgotten(file: Path) -> None:
    tokenizer = await loaded(file)
    for number in range(REMEMBERED + 10):
        tokenizer.count(str(number))
    assert len(tokenizer.known) == REMEMBERED
    assert tokenizer.count("0") == tokenizer.count("0")


async def test_a_broken_file_is_one_warning_and_nothing_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": 1}')
    tokenizer = TokenizerFile(tmp_path / "tokenizer.json")
    assert not await tokenizer.loaded(30)
    assert not await tokenizer.loaded(30)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "the tokens are estimated" in record.getMessage()
    assert await tokenizer.problem(30) in record.getMessage()


async def test_without_the_library_the_warning_names_the_package(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert not await TokenizerFile(file).loaded(30)
    [record] = caplog.records
    assert "requirements-tokenizers.txt" in record.getMessage()


@pytest.mark.slow
def test_the_app_does_not_import_the_library() -> None:
    program = "import composition.production, sys; sys.exit('tokenizers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603 - our own
