"""Which text does a PDF contain?

A process of its own reads it, with limits of time and memory: a hostile or a huge document can't hold the app up, and
the app never imports the library.
"""

import os
import subprocess
import sys
from typing import Final

READ_S: Final = 20.0
"""The longest that the reading of one document may take, in seconds."""

PROGRAM: Final = "clients.documents.pdf_reader"
NO_TEXT: Final = "it contains no text; send its pages as images"
BROKEN: Final = "it can't be read as a PDF"


class UnreadableDocumentError(Exception):
    """The document has no text that can be read; the message says why."""


def text_of_pdf(content: bytes) -> str:
    """Return the text of all pages; raises UnreadableDocumentError. It takes a process: call it in a thread."""
    try:
        reader = subprocess.run(  # noqa: S603 - a module of ours
            [sys.executable, "-m", PROGRAM],
            input=content,
            capture_output=True,
            timeout=READ_S,
            check=False,
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    except subprocess.TimeoutExpired:
        raise UnreadableDocumentError(f"its text was not read within {READ_S:.0f} seconds") from None
    if reader.returncode:
        problem = reader.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise UnreadableDocumentError(problem.removeprefix("problem: ") if problem.startswith("problem: ") else BROKEN)
    text = reader.stdout.decode(errors="replace")
    if not text.strip():
        raise UnreadableDocumentError(NO_TEXT)
    return text
