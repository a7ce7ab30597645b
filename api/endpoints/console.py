"""How does the app serve its own web page?"""

from pathlib import Path
from urllib.parse import urlsplit

from azurefunctions.extensions.http.fastapi import Request, Response
from msgspec import Struct

from api.http.conditional import conditional, for_method, tag_of
from api.http.errors import json_answer
from api.rendering.console_files import PAGE, ConsoleFile, ConsoleFiles, read_files
from api.rendering.response import Json
from domain.errors import NotFound
from domain.money.overheads import LEAST_EXECUTION_S, OverheadPrices, StepResources

FOREVER = "public, max-age=31536000, immutable"
NOTHING = ("default-src", "base-uri", "form-action", "frame-ancestors")
OWN = ("script-src", "style-src")


class ConsoleSignIn(Struct, frozen=True, kw_only=True):
    """Where people sign in to the page: the application's id in Entra, the addresses of its tenant, the API's scope.

    Without a `client_id` the page takes a pasted token alone.
    """

    client_id: str | None
    authority: str
    scope: str

    @property
    def origin(self) -> str:
        parts = urlsplit(self.authority)
        return f"{parts.scheme}://{parts.netloc}"

    def to_json(self) -> Json:
        return {
            "client_id": self.client_id,
            "authorize_url": f"{self.authority}/oauth2/v2.0/authorize",
            "token_url": f"{self.authority}/oauth2/v2.0/token",
            "scope": self.scope,
        }


def policy(sign_in: ConsoleSignIn) -> str:
    """Return the Content-Security-Policy: the page loads this origin alone, and no other page frames it.

    It calls this origin, and where people sign in with Entra the origin that issues their tokens.
    """
    called = f"connect-src 'self' {sign_in.origin}" if sign_in.client_id else "connect-src 'self'"
    none, own = (f"{each} 'none'" for each in NOTHING), (f"{each} 'self'" for each in OWN)
    return "; ".join((*none, *own, called, "img-src 'self' data:"))


ONE_REQUEST = StepResources(seconds=LEAST_EXECUTION_S, executions=1)


class Console:
    """The HTTP functions of the page. They need no token: every figure on it comes from the API with the caller's.

    `overheads` say what a request of the page costs at least.
    """

    def __init__(self, *, folder: Path, sign_in: ConsoleSignIn, overheads: OverheadPrices) -> None:
        self.folder = folder
        self.sign_in = sign_in
        self.execution = overheads.functions_cost(ONE_REQUEST)
        self.read: ConsoleFiles | None = None

    @property
    def files(self) -> ConsoleFiles:
        self.read = self.read or read_files(self.folder)
        return self.read

    async def page(self, req: Request) -> Response:
        """`GET /console`. A browser that keeps the page keeps its policy too: another policy is another version."""
        page, rules = self.files.files[PAGE], policy(self.sign_in)
        answer = answer_with(req, page)
        answer.headers["content-security-policy"] = rules
        answer.headers["referrer-policy"] = "no-referrer"
        return for_method(req, conditional(req, answer, tag_of(page.content + rules.encode())))

    async def settings(self, req: Request) -> Response:
        """`GET /console/settings.json`: where people sign in, and what a request costs. Nothing in it is secret."""
        answer = json_answer({**self.sign_in.to_json(), "execution_usd": f"{self.execution:.9f}"})
        return conditional(req, answer, tag_of(bytes(answer.body)))

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
