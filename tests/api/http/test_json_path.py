"""How is the path of a field written in an error message?"""

from api.http.json_path import PATH_LIMIT, joined, path_of, shortened


def test_a_path_is_written_as_the_api_writes_it() -> None:
    assert path_of(["input", 0, "content", 1, "text"]) == "input[0].content[1].text"


def test_the_first_name_has_no_dot_before_it() -> None:
    assert (joined("", "a"), joined("a[0]", "b"), path_of([]), path_of([2, "a"])) == ("a", "a[0].b", "", "[2].a")


def test_a_path_of_the_longest_length_is_not_shortened() -> None:
    assert shortened("x" * PATH_LIMIT) == "x" * PATH_LIMIT
    assert shortened("x" * (PATH_LIMIT + 1)) == "x" * PATH_LIMIT + "…"
    assert shortened("a\u202eb\t") == "a?b?"
