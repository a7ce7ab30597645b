"""Is each input read as it is meant, and a missing one named?"""

from pathlib import Path

import pytest

from benches.economics.inputs import MissingInputError, read_machine, read_owned, read_requests, token_price
from tests.benches.economics.samples import OWNED, PRICES, TEXT


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (TEXT.replace("start_s=60,", ""), "missing: start_s; expected price=…,start_s=…"),
        (
            TEXT.replace("price=gpu", "price=api"),
            "--gpu price=api: expected the name of a price by time, one of gpu, large",
        ),
        (TEXT.replace("decode=50", "decode=0"), "--gpu decode: expected a number above 0, found '0'"),
        (TEXT.replace("decode=50", "decode=fast"), "--gpu decode: expected a number above 0, found 'fast'"),
        (TEXT.replace("parallel=4", "parallel=0.5"), "--gpu parallel: expected a whole number above 0, found '0.5'"),
        (TEXT.replace("context=4096", "context=inf"), "--gpu context: expected a number above 0"),
        (f"{TEXT},colour=red", "unknown: colour"),
    ],
)
def test_a_missing_input_is_named(text: str, missing: str) -> None:
    with pytest.raises(MissingInputError, match=missing):
        read_machine(text, PRICES)


def test_a_price_of_the_api_is_one_per_token() -> None:
    assert token_price(PRICES, "api") == PRICES["api"]
    with pytest.raises(MissingInputError, match="--api gpu: expected the name of a price per token, one of api"):
        token_price(PRICES, "gpu")
    with pytest.raises(MissingInputError, match="but the file of prices has none"):
        token_price({}, "api")


def test_every_part_of_an_owned_machine_is_needed_and_above_0() -> None:
    assert read_owned("purchase_usd=5000,power_kw=0.4,kwh_usd=0.25,month_usd=36.525") == OWNED
    with pytest.raises(MissingInputError, match="--owned cheap: missing: purchase_usd, power_kw, kwh_usd, month_usd"):
        read_owned("cheap")
    with pytest.raises(MissingInputError, match="--owned power_kw: expected a number above 0, found '-1'"):
        read_owned("purchase_usd=5000,power_kw=-1,kwh_usd=0.25,month_usd=36")


HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens"


def test_a_trace_is_read_in_the_order_of_its_times(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    rows = ("2023-11-16 18:15:46.6805900,100,10", "2023-11-16T18:15:40+00:00,200,20", "2023-11-16T20:15:41+02:00,300,0")
    file.write_text("\n".join((HEAD, *rows)), encoding="utf-8")
    found = read_requests(file)
    assert [(each.input_tokens, each.output_tokens) for each in found] == [(200, 20), (300, 0), (100, 10)]
    assert [round(each.at - 1_700_158_540, 3) for each in found] == [0, 1, 6.681]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2", "expected the columns TIMESTAMP, ContextTokens, GeneratedTokens, or hour, attempts"),
        (HEAD, "has no request with tokens"),
        (f"{HEAD}\n2023-11-16,0,0", "has no request with tokens"),
        (f"{HEAD}\n2023-11-16,1,1\n2023-11-16,1", "line 3: GeneratedTokens: expected a whole number, found None"),
        (f"{HEAD}\n2023-11-16,-1,1", "line 2: ContextTokens: expected a whole number, found '-1'"),
        (f"{HEAD}\nnoon,1,1", "line 2: TIMESTAMP: expected a time such as 2026-11-29T14:00, found 'noon'"),
        (
            "hour,attempts,input_tokens,output_tokens\n2026-11-29T14,x,1,1",
            "line 2: attempts: expected a whole number, found 'x'",
        ),
        ("\udcff", "is no text in UTF-8"),
    ],
)
def test_a_wrong_row_is_named_by_its_file_and_line(text: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "requests.csv"
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(MissingInputError, match=rf"requests\.csv.*{problem}"):
        read_requests(file)


def test_a_file_that_is_not_there_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"^\S+/nowhere\.csv: No such file or directory$"):
        read_requests(tmp_path / "nowhere.csv")


def test_usage_by_hour_is_spread_over_its_hour(tmp_path: Path) -> None:
    file = tmp_path / "usage.csv"
    file.write_text(
        "hour,attempts,input_tokens,output_tokens,cost_usd\r\n2026-11-29T14,4,400,40,1\r\n", encoding="utf-8"
    )
    found = read_requests(file)
    assert [each.at - found[0].at for each in found] == [0, 900, 1800, 2700]
    assert {each[1:] for each in found} == {(100, 10)}
