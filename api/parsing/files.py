"""Which text does a file of the caller have, which images are taken, and which content is not read?"""

import base64
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.http.validation import RequestPart
from clients.documents.pdf_text import UnreadableDocumentError, text_of_pdf
from domain.sources.image_addresses import address_problem

PDF = b"%PDF-"
NUL = "\0"
"""A character that no text has, but many other files do."""
WORKS = (
    "What works is text, images (a data URL or an https address), and files with 'file_data': a PDF, or text in UTF-8, "
    "in base64"
)


def unreadable(problem: str) -> PydanticCustomError:
    return PydanticCustomError("unreadable", "{problem}", {"problem": problem})


def refused(what: str) -> Callable[[Any], NoReturn]:
    """Return a validator that rejects a field or a value, and lists what works."""

    def reject(_value: Any) -> NoReturn:
        raise unreadable(f"{what} is not supported. {WORKS}")

    return reject


def known_kind(*kinds: str) -> Callable[[Any], Any]:
    """Return a validator that rejects a part of another kind, and lists what works."""

    def check(kind: Any) -> Any:
        if isinstance(kind, str) and kind not in kinds:
            raise unreadable(f"{kind[:64]!a} is not supported. {WORKS}")
        return kind

    return check


DATA_URL = r"data:image/[^,;]{1,64}(;[^,;]{1,64}){0,4};base64,"
READABLE = re.compile(DATA_URL)


def check_address(url: str) -> str:
    """Reject an address that no server may load an image from, and a data URL that no server reads."""
    is_data = url.startswith("data:image/")
    if not is_data and not url.startswith("https://"):
        problem = "expected a data URL in base64, like data:image/png;base64,…, or an https address"
    elif is_data:
        problem = None if READABLE.match(url) else "expected the data of the image in base64: data:image/png;base64,…"
    else:
        problem = address_problem(url)
    if problem:
        raise PydanticCustomError("image_address", "{problem}", {"problem": problem})
    return url


type ImageUrl = Annotated[
    str, Field(json_schema_extra={"pattern": f"^(https://|{DATA_URL})"}), AfterValidator(check_address)
]


def text_of_file(data: str) -> str:
    """Return the text of a file in base64, maybe as a data URL."""
    encoded = data.partition(",")[2] if data.startswith("data:") else data
    try:
        content = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise unreadable("expected the content in base64, as it is or as a data URL") from None
    return text_in(content)


def text_in(content: bytes) -> str:
    """Return the text of a file; raises PydanticCustomError where it has none."""
    if content.startswith(PDF):
        try:
            return text_of_pdf(content)
        except UnreadableDocumentError as error:
            raise unreadable(f"the PDF has no text for the model: {error}") from None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = NUL
    if NUL in text:
        raise unreadable(f"the file is neither a PDF nor text in UTF-8. {WORKS}")
    return text


class FileContent(RequestPart):
    """A file that is read as text; `file_data` is its text after the validation."""

    file_id: Annotated[str, AfterValidator(refused("A file by its id"))] | None = None
    file_url: Annotated[str, AfterValidator(refused("A file by its address"))] | None = None
    filename: Annotated[str, StringConstraints(max_length=256)] | None = None
    file_data: Annotated[str, AfterValidator(text_of_file)]

    @property
    def text(self) -> str:
        """The text with its marks, by which a model tells it from the question."""
        name = "".join(each for each in self.filename or "" if each.isprintable() and each not in '<>"')
        return f'\n<file name="{name}">\n{self.file_data}\n</file>\n'


class FilePart(FileContent):
    type: Literal["input_file"]


class ChatFile(RequestPart):
    type: Literal["file"]
    file: FileContent

    @property
    def text(self) -> str:
        return self.file.text


class AudioPart(RequestPart):
    type: Annotated[Literal["input_audio"], AfterValidator(refused("Audio"))]
    text: str = ""
