"""Which text do the pages of the PDF on standard input have? `python -m clients.documents.pdf_reader`

It writes the text to standard output. Where there is none, the last line on standard error says why.
"""

import io
import resource
import sys
from typing import Final

from pypdf import PdfReader
from pypdf.errors import PyPdfError

MEMORY_BYTES: Final = 768 * 1024 * 1024
CPU_S: Final = 15
PAGES: Final = 1000
CHARACTERS: Final = 2_000_000


class PdfProblemError(Exception):
    """The document can't be read; the message says why."""


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    try:
        text = text_of(sys.stdin.buffer.read())
    except PdfProblemError as error:
        sys.exit(f"problem: {error}")
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError) as error:
        sys.exit(f"problem: it can't be read as a PDF ({type(error).__name__})")
    sys.stdout.buffer.write(text.encode(errors="replace"))


def text_of(content: bytes) -> str:
    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise PdfProblemError("it is protected by a password")
    if len(reader.pages) > PAGES:
        raise PdfProblemError(f"it has {len(reader.pages):,} pages; at most {PAGES:,} are read")
    pages: list[str] = []
    for page in reader.pages:
        pages.append(page.extract_text())
        if sum(map(len, pages)) > CHARACTERS:
            raise PdfProblemError(f"it has more than {CHARACTERS:,} characters of text")
    return "\n\n".join(pages)


if __name__ == "__main__":
    main()
