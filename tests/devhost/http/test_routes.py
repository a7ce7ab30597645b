"""Which path matches which template?"""

import pytest

from devhost.app.catalog import FunctionMetadata
from devhost.http.routes import InvalidRouteError, template_from_text
from devhost.http.server import FunctionRoute, find_route, route_of

MATCHES: list[tuple[str, str, dict[str, str] | None]] = [
    ("hello", "/hello", {}),
    ("hello", "/HELLO/", {}),
    ("hello", "/hello/more", None),
    ("hello", "/", None),
    ("", "/", {}),
    ("a/{x}", "/a/b", {"x": "b"}),
    ("a/{x}", "/a/", None),
    ("a/{x}", "/a/b/c", None),
    ("a/{x?}", "/a", {}),
    ("a/{x?}", "/a/b", {"x": "b"}),
    ("a/{x=7}", "/a", {"x": "7"}),
    ("a/{x:int=7}", "/a/8", {"x": "8"}),
    ("{x?}", "/", {}),
    ("a/{*rest}", "/a", {}),
    ("a/{*rest}", "/a/b/c", {"rest": "b/c"}),
    ("{*rest}", "/", {"rest": ""}),
    ("{**rest}", "/a/b", {"rest": "a/b"}),
    ("a/{x:int}", "/a/-12", {"x": "-12"}),
    ("a/{x:int}", "/a/1.5", None),
    ("a/{x:int}", "/a/99999999999", None),
    ("a/{x:long}", "/a/99999999999", {"x": "99999999999"}),
    ("a/{x:bool}", "/a/True", {"x": "True"}),
    ("a/{x:bool}", "/a/yes", None),
    ("a/{x:alpha}", "/a/abc", {"x": "abc"}),
    ("a/{x:alpha}", "/a/ab1", None),
    ("a/{x:guid}", "/a/CD2C1638-1638-72D5-1638-DEADBEEF1638", {"x": "CD2C1638-1638-72D5-1638-DEADBEEF1638"}),
    ("a/{x:guid}", "/a/none", None),
    ("a/{x:double}", "/a/1.5", {"x": "1.5"}),
    ("a/{x:min(18)}", "/a/17", None),
    ("a/{x:min(18)}", "/a/18", {"x": "18"}),
    ("a/{x:max(3)}", "/a/4", None),
    ("a/{x:range(1,3)}", "/a/3", {"x": "3"}),
    ("a/{x:range(1,3)}", "/a/0", None),
    ("a/{x:length(2)}", "/a/ab", {"x": "ab"}),
    ("a/{x:length(2)}", "/a/abc", None),
    ("a/{x:length(2,4)}", "/a/abcd", {"x": "abcd"}),
    ("a/{x:minlength(2)}", "/a/b", None),
    ("a/{x:maxlength(2)}", "/a/bcd", None),
    ("a/{x:int:min(5)}", "/a/4", None),
    ("a/{x:regex(^resp_)}", "/a/resp_1", {"x": "resp_1"}),
    ("a/{x:regex(^resp_)}", "/a/conv_1", None),
    (r"a/{x:regex(^\d{{3}}$)}", "/a/123", {"x": "123"}),
    (r"a/{x:regex(^\d{{3}}$)}", "/a/1234", None),
    ("a/{x:regex(^(one|two)$)}/b", "/a/two/b", {"x": "two"}),
    ("a/{x:required}", "/a/b", {"x": "b"}),
    ("files/{name}.{kind}", "/files/a.b.txt", {"name": "a", "kind": "b.txt"}),
    ("v{n:int}/x", "/v2/x", {"n": "2"}),
    ("a/{x}", "/a/b%20c", {"x": "b c"}),
    ("a/{x}", "/a/b%2fc", {"x": "b%2Fc"}),
]


@pytest.mark.parametrize(("template", "path", "values"), MATCHES)
def test_a_template_matches_as_in_asp_net(template: str, path: str, values: dict[str, str] | None) -> None:
    assert template_from_text(template).match(path) == values


@pytest.mark.parametrize("template", ["a/{x:nothing}", "a/{x:min}", "a/{x:int(3)}", "a/{:int}"])
def test_a_template_that_can_not_be_read_is_refused(template: str) -> None:
    with pytest.raises(InvalidRouteError):
        template_from_text(template)


def route(name: str, template: str, *methods: str) -> FunctionRoute:
    trigger = {"type": "httpTrigger", "route": template, "methods": list(methods)}
    return route_of(FunctionMetadata(name=name, id=name, trigger=trigger, bindings=()), "api")


def test_routes_are_tried_in_the_order_given_and_only_for_their_methods() -> None:
    routes = [route("a", "x/{id}", "GET"), route("b", "x/special", "GET", "POST")]
    get, post = find_route(routes, "GET", "/api/x/special"), find_route(routes, "POST", "/api/x/special")
    assert get is not None
    assert post is not None
    assert (get[0].function.name, post[0].function.name) == ("a", "b")
    assert find_route(routes, "DELETE", "/api/x/special") is None


def test_a_function_without_a_route_is_found_by_its_name_and_without_methods_by_all() -> None:
    plain = route_of(FunctionMetadata(name="Plain", id="1", trigger={"type": "httpTrigger"}, bindings=()), "api")
    assert find_route([plain], "PATCH", "/api/plain") is not None
