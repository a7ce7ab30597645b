"""What do the files weigh that a line of a batch names by their ids?

A check reads each file once, however many lines name it, and keeps no content.
"""

import asyncio
from collections import OrderedDict
from typing import Any, Final

from msgspec import Struct
from pydantic_core import PydanticCustomError

from api.http.request_body import InputMemory
from api.parsing.files import text_in
from api.uploads.inputs import FileInputs, check_count, named_files, too_much
from clients.clock import Clock
from domain.errors import Invalid
from domain.files.stored_file import StoredFile
from domain.identity.owners import Owner
from domain.tokens.estimates import TokenEstimate, tokens_in
from domain.tokens.prompt_texts import NO_TOKENS

TRUSTED_S: Final = 60.0
"""After so many seconds a file is looked for again: it may be deleted meanwhile."""

KEPT: Final = 4096
FIELD: Final = "file_id"


class FileMeasure(Struct, frozen=True, kw_only=True):
    """The bytes of a file and the tokens of its text, or why no input may name it. `read_at`: seconds."""

    read_at: float
    filename: str = ""
    size: int = 0
    tokens: TokenEstimate = NO_TOKENS
    error: Invalid | None = None


class MeasuredFiles:
    """Measures the files of lines, with the limits that the bodies of requests have."""

    def __init__(self, inputs: FileInputs, memory: InputMemory, clock: Clock) -> None:
        self.inputs = inputs
        self.memory = memory
        self.clock = clock
        self.known: OrderedDict[tuple[str, str, str], FileMeasure] = OrderedDict()

    async def take_out(self, owner: Owner, body: dict[str, Any], *, reads: bool) -> TokenEstimate:
        """Put an empty text in the place of each named file; return the tokens of their texts, or none without `reads`.

        Raises Invalid for an unknown file and for too much content, and Unavailable where other bodies take the memory.
        """
        found, room, tokens = list(named_files(body)), self.inputs.limit, NO_TOKENS
        check_count(found)
        for path, part in found:
            if reads:
                measure = await self.measure(owner, part[FIELD])
                if error := measure.error:
                    raise Invalid(str(error), field=path, code=error.code)
                room, tokens = room - measure.size, tokens + measure.tokens
                part.setdefault("filename", measure.filename)
            if room < 0:
                raise too_much(path, self.inputs.limit)
            del part[FIELD]
            part["file_data"] = ""
        return tokens

    async def measure(self, owner: Owner, identifier: str) -> FileMeasure:
        """Return what was found a minute ago at most; the text of a file never changes."""
        name = (owner.tenant, owner.subject, identifier)
        known = self.known.get(name)
        if known is None or self.clock.now() >= known.read_at + TRUSTED_S:
            known = self.known[name] = await self.read(owner, identifier, known)
            if len(self.known) > KEPT:
                self.known.popitem(last=False)
        return known

    async def read(self, owner: Owner, identifier: str, known: FileMeasure | None) -> FileMeasure:
        read_at = self.clock.now()
        try:
            stored = await self.inputs.named(owner, identifier, FIELD)
            if stored.size > self.inputs.limit:
                raise too_much(FIELD, self.inputs.limit)
            tokens = known.tokens if known and not known.error else await self.tokens_of(owner, stored)
        except Invalid as error:
            return FileMeasure(read_at=read_at, error=error)
        return FileMeasure(read_at=read_at, filename=stored.filename, size=stored.size, tokens=tokens)

    async def tokens_of(self, owner: Owner, stored: StoredFile) -> TokenEstimate:
        """Estimate the tokens of a file's text; raises Invalid where it has none."""
        with self.memory.share() as share:
            share.grow(stored.size)
            pieces = [piece async for piece in self.inputs.files.content(owner, stored, 0, stored.size)]
            try:
                return await asyncio.to_thread(lambda: tokens_in(text_in(b"".join(pieces))))
            except PydanticCustomError as error:
                message = f"Invalid '{FIELD}': {error.message()}"
                raise Invalid(message, field=FIELD, code="invalid_value") from None
