"""Does the file of the tools say what it means, and are all its mistakes named?"""

from pathlib import Path

import pytest

from domain.config.tools_toml import tools_from_toml
from domain.errors import ConfigurationError
from domain.identity.owners import Owner
from domain.tools.catalog import (
    ArgumentPlace,
    HttpMethod,
    IdempotencyKey,
    KeyPlace,
    ServerKind,
    ToolApproval,
    ToolEffect,
    ToolServers,
)

ALICE = Owner(tenant="t1", subject="user:alice")
CLERK = Owner(tenant="t1", subject="app:clerk", roles=("Orders.Read",))

SERVER = """
[servers.shop]
kind = "http"
url = "https://shop.internal"
"""
TOOL = """
[servers.shop.tools.find]
description = "Finds."
method = "GET"
path = "/v1/orders/{number}"
effect = "read"
arguments.number = { in = "path" }
"""
WRITE = """
[servers.shop.tools.refund]
description = "Refunds."
method = "POST"
path = "/v1/refunds"
effect = "write"
idempotency = "header:Idempotency-Key"
tries = 3
arguments.number.schema = { type = "string" }
"""

MCP = SERVER.replace('http"', 'mcp"')
LISTED = """
[servers.shop.tools.find]
effect = "read"
"""


def read(text: str, *, on_azure: bool = False, **variables: str) -> ToolServers:
    return tools_from_toml(text, variables, on_azure=on_azure)


def test_a_server_and_its_tools_are_read_with_their_defaults() -> None:
    server = read(SERVER + TOOL + WRITE).known["shop"]
    find, refund = server.tools["find"], server.tools["refund"]
    assert (server.address, server.private) == ("https://shop.internal", True)
    assert (find.method, find.path, find.effect, find.tries) == (
        HttpMethod.GET,
        "/v1/orders/{number}",
        ToolEffect.READ,
        1,
    )
    assert find.arguments[0].place is ArgumentPlace.PATH
    assert refund.key == IdempotencyKey(place=KeyPlace.HEADER, name="Idempotency-Key")
    assert refund.arguments[0].place is ArgumentPlace.BODY
    assert (find.approval, refund.approval) == (ToolApproval.NEVER, ToolApproval.ALWAYS)
    assert (find.is_repeatable, refund.is_repeatable) == (True, True)


def test_the_schema_of_a_tool_has_its_arguments_and_no_others() -> None:
    assert read(SERVER + TOOL).known["shop"].tools["find"].input_schema == {
        "type": "object",
        "properties": {"number": {"type": "string"}},
        "required": ["number"],
        "additionalProperties": False,
    }


def test_a_server_that_speaks_mcp_has_an_endpoint_and_its_tools_have_rights_alone() -> None:
    server = read(MCP + "others = true\ntrusted = true" + LISTED + "progress_s = 60").known["shop"]
    assert (server.kind, server.url, server.others, server.trusted) == (
        ServerKind.MCP,
        "https://shop.internal/mcp",
        True,
        True,
    )
    find = server.tools["find"]
    assert (find.effect, find.timeout_s, find.longest_s, find.approval) == (
        ToolEffect.READ,
        10.0,
        60.0,
        ToolApproval.NEVER,
    )


def test_a_server_that_speaks_mcp_needs_no_named_tool_where_others_are_allowed() -> None:
    assert read(MCP + "others = true").known["shop"].tools == {}


def test_the_file_of_the_product_is_good_and_leaves_out_what_is_not_set() -> None:
    text = (Path(__file__).parents[3] / "tools.toml").read_text()
    assert (list(read(text).known), read(text).unconfigured) == (["records"], {"shop"})
    assert set(read(text, GANGLION_SHOP_URL="http://127.0.0.1:1").known) == {"records", "shop"}


def test_a_server_whose_secret_is_not_set_is_disabled_and_the_secret_is_never_shown() -> None:
    text = f'{SERVER}auth = "setting"\nsetting = "SHOP_KEY"\nheader = "X-Key"\n{TOOL}'
    assert read(text).unconfigured == {"shop"}
    server = read(text, SHOP_KEY="s3cret").known["shop"]
    assert (server.secret, server.header) == ("s3cret", "x-key")
    assert "s3cret" not in repr(server)


def test_a_server_is_open_to_its_tenants_and_roles_alone() -> None:
    servers = read(f'{SERVER}tenants = ["t1"]\nroles = ["Orders.Read"]\n{TOOL}')
    stranger = Owner(tenant="t2", subject="app:clerk", roles=("Orders.Read",))
    assert servers.open_to(CLERK, "shop")
    assert [servers.open_to(who, "shop") for who in (ALICE, stranger)] == [None, None]
    assert servers.open_to(CLERK, "other") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SERVER, "servers.shop.tools: expected at least one tool"),
        (
            SERVER.replace('http"', 'sources"') + TOOL,
            "servers.shop.url: expected one of the fields description, kind, roles, sources",
        ),
        (SERVER.replace('http"', 'smtp"') + TOOL, "servers.shop.kind: expected one of http, mcp"),
        (SERVER.replace('http"', 'mcp"') + TOOL, "servers.shop.tools.find.method: expected one of the fields"),
        (
            SERVER.replace('http"', 'mcp"\npath = "a b"') + LISTED,
            "servers.shop.path: expected a path of plain segments",
        ),
        (MCP + LISTED + "progress_s = 4000", "servers.shop.tools.find.progress_s: expected at most 3600"),
        (SERVER + "others = true" + TOOL, "servers.shop.others: expected one of the fields"),
        (SERVER + 'auth = "obo"' + TOOL, "servers.shop.scope: expected text, found nothing"),
        (SERVER.replace("https://shop.internal", "http://169.254.169.254/x") + TOOL, "servers.shop.url: expected http"),
        (SERVER.replace("https://shop.internal", "http://metadata.google.internal") + TOOL, "servers.shop.url: a meta"),
        (SERVER.replace("https", "http") + 'auth = "identity"\nscope = "s"' + TOOL, "url: expected https to send a se"),
        (SERVER + 'auth = "identity"' + TOOL, "servers.shop.scope: expected text, found nothing"),
        (
            SERVER + 'auth = "setting"\nsetting = "K_1"\nheader = "Host"' + TOOL,
            "servers.shop.header: expected the name",
        ),
        (SERVER.replace("servers.shop", "servers.Shop") + TOOL.replace("shop.", "Shop."), "expected a label of a-z"),
        (SERVER + TOOL + "cache = 5", "servers.shop.tools.find.cache: expected one of the fields"),
        (SERVER + TOOL.replace('description = "Finds."\n', ""), "find.description: expected text, found nothing"),
        (SERVER + TOOL.replace("{number}", "{nr}"), "servers.shop.tools.find.path: expected each argument"),
        (SERVER + TOOL.replace("/{number}", ""), "servers.shop.tools.find.path: expected each argument"),
        (SERVER + TOOL.replace("/v1", "/../v1"), "servers.shop.tools.find.path: expected a path of plain segments"),
        (SERVER + TOOL.replace("/v1", "/v1?q=1"), "servers.shop.tools.find.path: expected a path of plain segments"),
        (SERVER + TOOL.replace('"path" }', '"body" }'), "find.arguments.number.in: expected path or query"),
        (SERVER + TOOL.replace('"path" }', '"path", required = false }'), "number.required: expected true in a path"),
        (SERVER + TOOL.replace('"read"', '"write"'), "find.method: expected another method than GET for a write"),
        (SERVER + WRITE.replace("header:Idem", "cookie:Idem"), "refund.idempotency: expected none, header:<name> or"),
        (
            SERVER + WRITE.replace("header:Idempotency-Key", "header:Host"),
            "refund.idempotency: expected a header that the client does not set itself",
        ),
        (SERVER + WRITE.replace("header:Idempotency-Key", "argument:number"), "idempotency: expected an argument that"),
        (SERVER + WRITE.replace("header:Idempotency-Key", "none"), "refund.tries: expected 1 for a write without"),
        (SERVER + WRITE.replace("tries = 3", "tries = 6"), "refund.tries: expected a whole number from 1 to 5"),
        (SERVER + WRITE + "cache_s = 5", "refund.cache_s: expected 0 for a write"),
        (SERVER + TOOL + "cache_s = 3601", "find.cache_s: expected at most 3600 seconds"),
        (SERVER + TOOL + 'cache_scope = "all"', "find.cache_scope: expected one of owner, tenant"),
        (SERVER + TOOL + "price = 0.01", 'find.price: expected an amount in quotes, such as "0.25"'),
        (SERVER + WRITE + 'on_unknown = "no"', "refund.on_unknown: expected one of tell, stop, ask"),
        (SERVER + WRITE.replace('type = "string"', 'type = "text"'), "refund.arguments.number.schema.type: expected"),
        (SERVER + WRITE.replace('"string" }', '"string", pattern = "a" }'), "number.schema.pattern: expected one of"),
        (
            SERVER + WRITE.replace('type = "string" }', '"$ref" = "https://evil.example/schema" }'),
            "number.schema.$ref: expected one of",
        ),
        (
            SERVER + WRITE.replace('"string" }', '"string", minLength = 5, maxLength = 2 }'),
            "number.schema.minLength: expected at most maxLength, which is 2, found 5",
        ),
        (
            SERVER + WRITE.replace('"string" }', '"string", maxLength = -1 }'),
            "number.schema.maxLength: expected a whole",
        ),
    ],
)
def test_a_mistake_is_named_with_its_field(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(text)
    assert problem in str(raised.value)


def test_all_mistakes_are_named_together() -> None:
    text = SERVER + TOOL.replace('"GET"', '"FETCH"') + WRITE.replace("tries = 3", 'tries = "3"')
    with pytest.raises(ConfigurationError) as raised:
        read(text)
    assert len(raised.value.problems) == 2


def test_a_loopback_server_is_not_allowed_on_azure() -> None:
    with pytest.raises(ConfigurationError, match="a loopback address is not allowed on Azure"):
        read(SERVER.replace("https://shop.internal", "https://127.0.0.1") + TOOL, on_azure=True)


@pytest.mark.parametrize("text", ["servers = 1", "[servers]\nshop = 1", "x", "[servers.shop.tools]\nfind = 1"])
def test_a_file_of_another_shape_is_an_error_and_nothing_else(text: str) -> None:
    with pytest.raises(ConfigurationError):
        read(text)


def test_a_schema_that_is_nested_too_deeply_is_an_error() -> None:
    deep = '{ type = "array", items = ' * 12 + '{ type = "string" }' + " }" * 12
    with pytest.raises(ConfigurationError, match="at most 8 nested schemas"):
        read(SERVER + WRITE.replace('{ type = "string" }', deep))


def test_a_server_of_sources_has_no_address_and_names_its_sources() -> None:
    text = '[servers.records]\nkind = "sources"\nsources = ["orders"]\nroles = ["Records.Read"]\ntrusted = true\n'
    server = read(text).known["records"]
    assert (server.kind, server.address, server.sources, server.trusted) == (
        ServerKind.SOURCES,
        "",
        ("orders",),
        True,
    )
    assert server.roles == {"Records.Read"}


def test_a_server_of_sources_takes_no_field_of_another_kind() -> None:
    with pytest.raises(ConfigurationError, match=r"servers\.records\.url"):
        read('[servers.records]\nkind = "sources"\nurl = "https://x.example"\n')
