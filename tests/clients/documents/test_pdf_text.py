"""Is the text of a PDF read, and every other document rejected with a reason, without harm to the app?"""

import subprocess
import sys

import pytest

from clients.documents.pdf_text import NO_TEXT, UnreadableDocumentError, text_of_pdf
from standins.paths import ROOT
from tests.fakes.documents import pdf

BROKEN: dict[str, bytes] = {
    "a header alone": b"%PDF-1.4\n",
    "cut off": pdf("hello")[:200],
    "noise": b"%PDF-1.4\n" + bytes(range(256)) * 20,
    "a page tree that is its own child": pdf("a").replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]"),
}


def test_the_text_of_all_pages_is_read() -> None:
    assert text_of_pdf(pdf("The answer is 42.", "The end.")).split("\n\n") == ["The answer is 42.", "The end."]


@pytest.mark.slow
def test_the_process_of_the_app_imports_no_reader() -> None:
    code = (
        "import sys\n"
        "from clients.documents.pdf_text import UnreadableDocumentError, text_of_pdf\n"
        "try:\n    text_of_pdf(b'%PDF-1.4')\n"
        "except UnreadableDocumentError:\n    print('pypdf' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - the code is ours
    assert shown.stdout.strip() == "False"


def test_a_document_without_text_is_rejected() -> None:
    with pytest.raises(UnreadableDocumentError, match=NO_TEXT):
        text_of_pdf(pdf(""))


@pytest.mark.slow
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_document_is_rejected(content: bytes) -> None:
    with pytest.raises(UnreadableDocumentError) as caught:
        text_of_pdf(content)
    assert "Traceback" not in str(caught.value)
    assert len(str(caught.value)) < 200
