"""Does a turn read no blob outside of the containers and the path of its source, whatever its input says?"""

from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.pipelines.event_text import fenced
from domain.sources.blob_names import NOTHING_NAMED, OUTSIDE, WRONG_NAME, BlobName, blob_name

ACCOUNT: Final = "https://shop.blob.core.windows.net"
CLAIMS: Final = {"tenant": "t-1", "account": "u-1"}


def named(text: str, *, path: str = "incoming/{blob}", containers: tuple[str, ...] = ("orders",)) -> BlobName | str:
    return blob_name(ACCOUNT, containers, path, CLAIMS, text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{ACCOUNT}/orders/incoming/a.txt", "incoming/a.txt"),
        (f"{ACCOUNT.upper()}/orders/incoming/a.txt", "incoming/a.txt"),
        (f"Read {ACCOUNT}/orders/incoming/a.txt, please.", "incoming/a.txt"),
        (f'{{"url": "{ACCOUNT}/orders/incoming/a%20b.txt", "n": 1}}', "incoming/a b.txt"),
        (f"{ACCOUNT}/orders/incoming/50%25.txt", "incoming/50%.txt"),
        ("a.txt", "incoming/a.txt"),
        (fenced("a.txt", "7"), "incoming/a.txt"),
        (fenced(f'{{"url": "{ACCOUNT}/orders/incoming/a.txt"}}', "7"), "incoming/a.txt"),
    ],
)
def test_the_input_names_a_blob(text: str, found: str) -> None:
    assert named(text) == BlobName("orders", found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{ACCOUNT}/secrets/incoming/a.txt", NOTHING_NAMED),
        (f"{ACCOUNT}@evil.example/orders/incoming/a.txt", NOTHING_NAMED),
        (f"{ACCOUNT}.evil.example/orders/incoming/a.txt", NOTHING_NAMED),
        ("https://other.blob.core.windows.net/orders/incoming/a.txt", NOTHING_NAMED),
        (f"{ACCOUNT}//orders/incoming/a.txt", NOTHING_NAMED),
        (f"{ACCOUNT}/orders/paid/a.txt", OUTSIDE),
        (f"{ACCOUNT}/orders/incoming", OUTSIDE),
        (f"{ACCOUNT}/orders/incoming/", WRONG_NAME),
        (f"{ACCOUNT}/orders/incoming/../paid/a.txt", WRONG_NAME),
        (f"{ACCOUNT}/orders/incoming/%2e%2e/paid/a.txt", WRONG_NAME),
        (f"{ACCOUNT}/orders/incoming/%252e%252e%252fpaid/a.txt", WRONG_NAME),
        (f"{ACCOUNT}/orders/incoming/..%2fpaid", WRONG_NAME),
        (f"{ACCOUNT}/orders/incoming/..%5cpaid", WRONG_NAME),
        (f"{ACCOUNT}/orders/incoming/a%00.txt", WRONG_NAME),
        (f"{ACCOUNT}/orders/incoming/a%ff.txt", WRONG_NAME),
        (f"{ACCOUNT}/orders/incoming/a.txt?sig=x", WRONG_NAME),
        (f"{ACCOUNT}/orders/incoming/{'a' * 1024}", WRONG_NAME),
        ("../paid/a.txt", WRONG_NAME),
        ("/etc/passwd", WRONG_NAME),
        ("what is new?", NOTHING_NAMED),
        ("", NOTHING_NAMED),
    ],
)
def test_nothing_else_is_read(text: str, problem: str) -> None:
    assert named(text) == problem


def test_a_path_of_claims_is_the_callers_own_and_no_text_changes_it() -> None:
    own = "{tenant}/{account}/profile.json"
    assert named(f"{ACCOUNT}/orders/t-1/u-2/profile.json", path=own) == BlobName("orders", "t-1/u-1/profile.json")
    assert named(f"{ACCOUNT}/orders/t-1/u-2/a", path="{tenant}/{account}/{blob}") == OUTSIDE
    assert blob_name(ACCOUNT, ("orders",), own, {"tenant": "..", "account": "u"}, "") == WRONG_NAME


def test_with_several_containers_an_address_says_which_one() -> None:
    both = ("orders", "letters")
    found = named(f"{ACCOUNT}/letters/incoming/a.txt", containers=both)
    assert found == BlobName("letters", "incoming/a.txt")
    assert named("a.txt", containers=both) == NOTHING_NAMED


@given(st.text(st.sampled_from("ab./\\%25eE2fF5cC?# \x00"), max_size=24), st.booleans())
def test_no_name_leaves_the_path(rest: str, encoded: bool) -> None:  # noqa: FBT001 - of hypothesis
    found = named(f"{ACCOUNT}/orders/incoming/{quote(rest, safe='') if encoded else rest}")
    if isinstance(found, BlobName):
        assert found.container == "orders"
        assert found.path.startswith("incoming/")
        assert not {"", ".", ".."} & set(found.path.split("/"))
