"""Which text is read out of a PDF, and why is none read out of a document that is too large or protected?"""

import io

import pytest
from pypdf import PdfWriter

from clients.documents import pdf_reader
from clients.documents.pdf_reader import PdfProblemError, text_of
from tests.fakes.documents import pdf


def protected(password: str) -> bytes:
    writer, written = PdfWriter(io.BytesIO(pdf("hello"))), io.BytesIO()
    writer.encrypt(password, "owner", algorithm="RC4-128")
    writer.write(written)
    return written.getvalue()


def test_pages_are_a_blank_line_apart_and_a_page_without_text_is_empty() -> None:
    assert text_of(pdf("one", "", "three")) == "one\n\n\n\nthree"


def test_a_document_whose_password_is_empty_is_read() -> None:
    assert text_of(protected("")) == "hello"


def test_a_document_with_a_password_is_rejected() -> None:
    with pytest.raises(PdfProblemError, match="it is protected by a password"):
        text_of(protected("open"))


def test_a_document_of_exactly_the_most_pages_and_characters_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_reader, "PAGES", 2)
    monkeypatch.setattr(pdf_reader, "CHARACTERS", 6)
    assert text_of(pdf("one", "two")) == "one\n\ntwo"


def test_too_many_pages_are_told_before_any_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_reader, "PAGES", 2)
    monkeypatch.setattr(pdf_reader, "CHARACTERS", 0)
    with pytest.raises(PdfProblemError, match="it has 3 pages; at most 2 are read"):
        text_of(pdf("one", "two", "three"))


def test_the_text_of_all_pages_together_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_reader, "CHARACTERS", 5)
    with pytest.raises(PdfProblemError, match="it has more than 5 characters of text"):
        text_of(pdf("one", "two"))
