"""Is the caller told which of its compaction items is wrong?"""

import base64
import zlib

import pytest

from api.parsing.responses_request import request_from_openai
from domain.errors import Invalid

BOMB = base64.b64encode(zlib.compress(b"a" * 10_000, 9)).decode()


@pytest.mark.parametrize(("content", "problem"), [("gibberish!", "not issued"), (BOMB, "3 times its length")])
def test_a_request_is_told_which_of_its_items_is_wrong(content: str, problem: str) -> None:
    items = [{"role": "user", "content": "hi"}, {"type": "compaction", "encrypted_content": content}]
    with pytest.raises(Invalid, match=problem) as caught:
        request_from_openai({"input": items})
    assert (caught.value.field, caught.value.code) == ("input[1].encrypted_content", "invalid_value")
