"""Is the console served so that a browser can run it, keep it, and load nothing else?"""

import gzip
import hashlib
import json
import re
from decimal import Decimal
from typing import Any

import pytest

from api.endpoints.console import ConsoleSignIn, policy
from api.rendering.console_files import read_files
from domain.money.overheads import FunctionsPrice, OverheadPrices
from domain.money.prices import PriceSource
from settings import ROOT
from tests.api.harness import api
from tests.checks import every

FOLDER = ROOT / "console"


async def test_the_page_names_files_that_a_browser_keeps_for_a_year() -> None:
    http = api().http
    page = await http.get("/console", headers={"authorization": ""})
    links = re.findall(r'(?:href|src)="(/console/[^"]+)"', page.text)
    assert sorted(link.rsplit("/", 1)[1] for link in links) == ["console.css", "main.js"]
    for link in links:
        answer = await http.get(link)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_the_page_may_load_and_call_its_own_origin_alone() -> None:
    page = await api().http.get("/console")
    policy = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
    assert policy.pop("img-src") == "'self' data:"
    assert {name for name, allowed in policy.items() if allowed == "'self'"} == {
        "script-src",
        "style-src",
        "connect-src",
    }
    assert {name for name, allowed in policy.items() if allowed == "'none'"} >= {"default-src", "frame-ancestors"}
    assert page.headers["referrer-policy"] == "no-referrer"


SIGN_IN = ConsoleSignIn(client_id="page", authority="https://login.example/tenant", scope="api://ganglion/access")


async def test_the_settings_of_the_sign_in_hold_no_secret_and_need_no_token() -> None:
    one = api()
    plain = (await one.http.get("/console/settings.json", headers={"authorization": ""})).json()
    fields = {"client_id", "authorize_url", "token_url", "scope", "execution_usd"}
    assert (plain["client_id"], set(plain)) == (None, fields)
    assert plain["scope"].endswith("/access_as_user")
    assert SIGN_IN.to_json()["token_url"] == "https://login.example/tenant/oauth2/v2.0/token"


async def test_the_page_knows_what_a_request_costs_at_least() -> None:
    """An execution counts as a second: reading every 5 s would cost 90 cents a day."""
    prices = OverheadPrices(
        functions=FunctionsPrice(
            origin=PriceSource(source="a test", date="2026-11", region="nowhere"),
            gb_second=Decimal("0.000026"),
            million_executions=Decimal("0.40"),
            memory_gb=Decimal(2),
        )
    )
    said = (await api(overheads=prices).http.get("/console/settings.json")).json()
    assert said["execution_usd"] == "0.000052400"
    assert round(float(said["execution_usd"]) * 86_400 / 5, 2) == 0.91


def test_with_a_sign_in_the_page_may_also_call_its_authority() -> None:
    assert "connect-src 'self' https://login.example;" in policy(SIGN_IN)
    assert "script-src 'self';" in policy(SIGN_IN)


async def test_a_kept_page_gets_the_policy_of_a_sign_in_that_was_configured_since() -> None:
    kept = await api().http.get("/console")
    now = await api(console_client_id="page").http.get("/console", headers={"if-none-match": kept.headers["etag"]})
    assert now.status_code == 200
    assert now.headers["content-security-policy"] != kept.headers["content-security-policy"]


async def test_no_script_or_style_is_in_the_page_and_none_is_made_from_text() -> None:
    assert not re.search(r"<script>|<style|style=|\son\w+=", (FOLDER / "index.html").read_text(encoding="utf-8"))
    for file in FOLDER.glob("*.js"):
        assert not re.search(r"\beval\(|new Function|innerHTML|dangerouslySet", own_text(file.name)), file.name


def own_text(name: str) -> str:
    """Return the text of a file of ours; a vendored file is judged by its hash."""
    return "" if name in {each["file"] for each in vendored()} else (FOLDER / name).read_text(encoding="utf-8")


async def test_a_file_of_another_version_is_not_found() -> None:
    answer = await api().http.get("/console/0000000000000000/main.js")
    assert (answer.status_code, answer.json()["error"]["message"].partition(".")[0]) == (
        404,
        "No such file of the console",
    )


@pytest.mark.parametrize("name", ["..%2fsettings.py", "vendored.json", "nothing.js"])
async def test_only_the_files_of_the_folder_are_served(name: str) -> None:
    version = read_files(FOLDER).version
    assert (await api().http.get(f"/console/{version}/{name}")).status_code == 404


async def test_the_page_is_not_sent_again_to_who_has_it() -> None:
    http = api().http
    tag = (await http.get("/console")).headers["etag"]
    assert (await http.get("/console", headers={"if-none-match": tag})).status_code == 304
    head = await http.head("/console")
    assert (head.status_code, head.content) == (200, b"")


async def test_the_files_of_the_first_view_are_small() -> None:
    files = read_files(FOLDER).files
    first = [
        "index.html",
        "console.css",
        "main.js",
        "api.js",
        "parts.js",
        "sign_in.js",
        "entra.js",
        "htm-preact.js",
        "turns.js",
    ]
    assert sum(len(files[name].packed) for name in first) < 60_000
    assert every(gzip.decompress(file.packed) == file.content for file in files.values())


async def test_a_browser_that_takes_gzip_gets_it() -> None:
    http = api().http
    packed = await http.get("/console", headers={"accept-encoding": "gzip"})
    plain = await http.get("/console", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text


async def test_the_address_itself_says_what_is_where() -> None:
    answer = await api().http.get("/")
    assert answer.status_code == 200
    assert "/console" in answer.text
    assert "/openapi.json" in answer.text


def vendored() -> list[dict[str, Any]]:
    return json.loads((FOLDER / "vendored.json").read_text(encoding="utf-8"))


def test_vendored_files_are_the_published_ones() -> None:
    assert vendored()
    for each in vendored():
        assert hashlib.sha256((FOLDER / each["file"]).read_bytes()).hexdigest() == each["sha256"], each["file"]
        assert every((FOLDER / licence["file"]).exists() for licence in each["licences"])


COLOURS = dict(
    re.findall(
        r"--(\w+): light-dark\((#[0-9a-f]{6}, #[0-9a-f]{6})\)", (FOLDER / "console.css").read_text(encoding="utf-8")
    )
)
TEXTS = ("text", "soft", "link", "good", "bad", "warn")
MARKS = ("running", "start", "idle", "waiting", "lost", "tokens", "tools", "held", "store", "functions")


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb` (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_texts_and_marks_stand_out_from_what_they_are_on(theme: int) -> None:
    """WCAG 2.2 wants 4.5 for texts (1.4.3) and 3 for what a plot draws (1.4.11)."""
    shown = {name: pair.split(", ")[theme] for name, pair in COLOURS.items()}
    for ground in ("card", "ground"):
        texts = {name: contrast(shown[name], shown[ground]) for name in TEXTS}
        marks = {name: contrast(shown[name], shown[ground]) for name in MARKS}
        assert {name: ratio for name, ratio in texts.items() if ratio < 4.5} == {}
        assert {name: ratio for name, ratio in marks.items() if ratio < 3} == {}
