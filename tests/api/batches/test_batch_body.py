"""Which batch does a body request, and which of its fields is named where it is wrong?"""

from typing import Any

import pytest

from api.batches.batch_body import LONGEST_KEEP_S, SHORTEST_KEEP_S, batch_request, window_of
from domain.batches.batch import LONGEST_WINDOW_S, SHORTEST_WINDOW_S, WINDOW_S
from domain.errors import Invalid

BODY: dict[str, Any] = {"endpoint": "/v1/responses", "input_file_id": "file_1", "completion_window": "24h"}


def test_a_batch_has_a_day_and_its_results_stay() -> None:
    request, ignored = batch_request(BODY | {"colour": None})
    assert (request.endpoint, request.input_file) == ("/v1/responses", "file_1")
    assert (request.window_s, request.keep_s, request.metadata, ignored) == (WINDOW_S, None, {}, ())


def test_the_metadata_set_another_window_and_results_may_expire() -> None:
    more = {"metadata": {"window_s": "7200"}, "output_expires_after": {"anchor": "created_at", "seconds": 3600}}
    request, _ = batch_request(BODY | more)
    assert (request.window_s, request.keep_s) == (7200.0, 3600.0)


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"endpoint": None}, "endpoint", "missing_required_parameter"),
        ({"endpoint": "/v1/embeddings"}, "endpoint", "invalid_value"),
        ({"input_file_id": ""}, "input_file_id", "invalid_value"),
        ({"input_file_id": 1}, "input_file_id", "invalid_type"),
        ({"completion_window": "12h"}, "completion_window", "invalid_value"),
        ({"output_expires_after": {"seconds": 3600}}, "output_expires_after.anchor", "missing_required_parameter"),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": SHORTEST_KEEP_S - 1}},
            "output_expires_after.seconds",
            "invalid_value",
        ),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": LONGEST_KEEP_S + 1}},
            "output_expires_after.seconds",
            "invalid_value",
        ),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        batch_request(BODY | change)
    assert (caught.value.field, caught.value.code) == (field, code)


@pytest.mark.parametrize("seconds", [SHORTEST_WINDOW_S, LONGEST_WINDOW_S])
def test_the_edges_of_a_window_are_allowed(seconds: float) -> None:
    assert window_of({"window_s": f"{seconds:.0f}"}) == seconds


@pytest.mark.parametrize(
    "text", [f"{SHORTEST_WINDOW_S - 1:.0f}", f"{LONGEST_WINDOW_S + 1:.0f}", "-7200", "7200.0", "", "٧٢٠٠", "9" * 5000]
)
def test_another_window_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        window_of({"window_s": text})
    assert (caught.value.field, caught.value.code) == ("metadata.window_s", "invalid_value")
