"""How does the app serve its own web page?"""

from pathlib import Path

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.conditional import conditional, for_method, tag_of
from api.rendering.console_files import PAGE, ConsoleFile, ConsoleFiles, read_files
from domain.errors import NotFound

FOREVER = "public, max-age=31536000, immutable"
NOTHING = ("default-src", "base-uri", "form-action", "frame-ancestors")
OWN = ("script-src", "style-src", "connect-src")
POLICY = "; ".join(
    (*(f"{each} 'none'" for each in NOTHING), *(f"{each} 'self'" for each in OWN), "img-src 'self' data:")
)
"""The Content-Security-Policy: the page loads and calls this origin alone, and no other page frames it."""


class Console:
    """The HTTP functions of the page. They need no token: every figure on it comes from the API with the caller's."""

    def __init__(self, *, folder: Path) -> None:
        self.folder = folder
        self.read: ConsoleFiles | None = None

    @property
    def files(self) -> ConsoleFiles:
        self.read = self.read or read_files(self.folder)
        return self.read

    async def page(self, req: Request) -> Response:
        """`GET /console`"""
        answer = answer_with(req, self.files.files[PAGE])
        answer.headers["content-security-policy"] = POLICY
        answer.headers["referrer-policy"] = "no-referrer"
        return for_method(req, conditional(req, answer, tag_of(self.files.files[PAGE].content)))

    async def file(self, req: Request) -> Response:
        """`GET /console/{version}/{name}`: a file of this version, not of an older release."""
        version, name = req.path_params["version"], req.path_params["name"]
        found = self.files.files.get(name) if version == self.files.version else None
        if found is None:
            raise NotFound("No such file of the console. Load /console again: a newer version may be deployed.")
        answer = answer_with(req, found)
        answer.headers["cache-control"] = FOREVER
        return answer


def answer_with(request: Request, file: ConsoleFile) -> Response:
    """Return a file, packed where the browser takes that."""
    packs = "gzip" in request.headers.get("accept-encoding", "")
    answer = Response(file.packed if packs else file.content, media_type=file.media_type)
    if packs:
        answer.headers["content-encoding"] = "gzip"
    answer.headers["vary"] = "accept-encoding"
    return answer
