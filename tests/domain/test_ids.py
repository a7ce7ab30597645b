"""Does every id name its thread, and is nothing else an id?"""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import Prefix, conversation_id, is_response_id, member_id, own_token, thread_of
from tests.domain.logs import tokens

THREAD, OWN = "0123456789abcdef01234567", "f" * 24
PREFIXES: tuple[Prefix, ...] = get_args(Prefix.__value__)
STRANGERS = [
    "",
    "resp_",
    f"resp_{THREAD}",
    f"resp_{THREAD}{OWN}0",
    f"resp_{THREAD}{OWN[:-1]}",
    f"resp_{THREAD}{OWN}\n",
    f" resp_{THREAD}{OWN}",
    f"resp_{THREAD.upper()}{OWN}",
    f"RESP_{THREAD}{OWN}",
    f"response_{THREAD}{OWN}",
    f"resp-{THREAD}{OWN}",
    f"resp_{'g' * 48}",
    f"resp_{'٣' * 48}",
    f"conv_{THREAD}{OWN}",
    f"conv_{THREAD[:-1]}",
    f"file_{THREAD}{OWN}",
    "../../etc/passwd",
]


@given(st.sampled_from(PREFIXES), tokens, tokens)
def test_a_members_id_names_its_thread_and_itself(prefix: Prefix, thread: str, token: str) -> None:
    identifier = member_id(prefix, thread=thread, token=token)
    assert (thread_of(identifier), own_token(identifier)) == (thread, token)
    assert is_response_id(identifier) is (prefix == "resp")


@given(tokens)
def test_a_conversations_id_names_its_thread_and_is_no_response(thread: str) -> None:
    assert thread_of(conversation_id(thread)) == thread
    assert not is_response_id(conversation_id(thread))


@given(tokens)
def test_a_conversation_has_no_token_of_its_own(thread: str) -> None:
    with pytest.raises(ValueError, match="is not the id of a response or an item"):
        own_token(conversation_id(thread))


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_names_nothing(stranger: str) -> None:
    assert (thread_of(stranger), is_response_id(stranger)) == (None, False)
    with pytest.raises(ValueError, match="is not the id of a response or an item"):
        own_token(stranger)


@given(st.text())
def test_whatever_names_a_thread_is_ascii_and_safe_in_a_path(text: str) -> None:
    if thread_of(text):
        assert text.replace("_", "").isalnum()
        assert text.isascii()
