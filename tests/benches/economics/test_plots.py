"""Are the plots drawn to the scale of their numbers?"""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benches.economics.plots import LEFT, LINES, TITLE, WIDTH, place_of, plots

ROOM = WIDTH - LEFT - 130
FOUND: dict[str, Any] = {
    "usd_a_month": {"API & more": "50.00", "GPU": "200.00"},
    "break_even": {"requests_an_hour": "400", "utilisation": "0.1"},
    "gpu_hour_usd": "1.44",
    "owning_pays_in_month": 10,
    "owned": {"purchase_usd": "1000.00", "month_usd": "100.00"},
    "cheapest": "GPU",
    "mixes": [{"gpus": [], "usd": "1.0"}, {"gpus": ["l4", "a100"], "usd": "4.0"}],
}


def drawn(**changes: Any) -> ET.Element:
    return ET.fromstring(plots({**FOUND, **changes}))  # noqa: S314 - our own picture


def texts(picture: ET.Element) -> list[str]:
    return [each.text or "" for each in picture.findall(".//{*}text")]


def bars(picture: ET.Element) -> list[float]:
    _, *found = picture.findall(".//{*}rect")
    return [float(each.attrib["width"]) for each in found]


def curves(picture: ET.Element) -> list[list[tuple[float, float]]]:
    lines = [each.attrib["points"].split() for each in picture.findall(".//{*}polyline")]
    return [[(float(x), float(y)) for x, y in (point.split(",") for point in each)] for each in lines]


def test_a_bar_is_as_long_as_its_share_of_the_longest() -> None:
    assert bars(drawn()) == pytest.approx([0.25 * ROOM, ROOM, 0.25 * ROOM, ROOM], abs=0.1)
    assert {"API & more", "$50.00", "API", "l4 + a100 + API", "$4.0000"} <= set(texts(drawn()))


def test_bars_of_nothing_have_no_length() -> None:
    assert bars(drawn(usd_a_month={"GPU": "0.00"}, mixes=[{"gpus": [], "usd": "0"}])) == [0.0, 0.0]


def test_the_curves_cross_at_the_break_even() -> None:
    api, gpu = curves(drawn())[:2]
    assert api == [(LEFT, TITLE + LINES), (LEFT + ROOM, TITLE)]
    assert gpu == [(LEFT, TITLE + LINES / 2), (LEFT + ROOM, TITLE + LINES / 2)]


def test_owning_costs_its_purchase_at_once_and_its_place_by_the_month() -> None:
    other, owned = curves(drawn())[2:]
    assert other == [(LEFT, TITLE + LINES), (LEFT + ROOM, TITLE)]
    assert owned == [(LEFT, TITLE + LINES * 0.75), (LEFT + ROOM, TITLE + LINES * 0.25)]
    assert "Owning pays in month 10: dollars until then" in texts(drawn())
    assert "20 months" in texts(drawn())


def test_where_owning_never_pays_two_years_are_shown_without_a_crossing() -> None:
    never = drawn(owning_pays_in_month=None)
    assert "Owning never pays: dollars until then" in texts(never)
    assert "24 months" in texts(never)
    crossings = [each for each in never.findall(".//{*}line") if "stroke-dasharray" in each.attrib]
    assert len(crossings) == 1


def test_the_scale_begins_below_on_the_left() -> None:
    assert place_of((0.0, 0.0), (8.0, 4.0)) == (LEFT, TITLE + LINES)
    assert place_of((8.0, 4.0), (8.0, 4.0)) == (LEFT + ROOM, TITLE)
