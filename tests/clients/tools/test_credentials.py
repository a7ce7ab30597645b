"""Which header authenticates a call, and where does its key stand?"""

from collections.abc import Mapping
from copy import replace

import pytest

from clients.sources.port import SourceError
from clients.tools.credentials import GRANT_EXPIRED, key_argument, key_header, server_credentials
from clients.tools.port import CallFailure, ToolError
from domain.tools.catalog import IdempotencyKey, KeyPlace, ServerAuth, ServerTool, ToolServer
from tests.fakes.tools import shop

SHOP = shop().known["shop"]
FIND, REFUND = SHOP.tools["find_order"], SHOP.tools["refund_order"]


class AppTokens:
    """Gives the app a token for every scope but `forbidden`."""

    async def token(self, scope: str) -> str:
        if scope == "forbidden":
            raise SourceError("no access token was issued")
        return f"for {scope}"


async def credentials(server: ToolServer, grant: str = "") -> Mapping[str, str]:
    return await server_credentials(AppTokens(), server, grant)


async def test_a_server_is_called_with_a_secret_a_token_of_the_app_or_one_of_its_caller() -> None:
    secret = replace(SHOP, auth=ServerAuth.SETTING, header="x-api-key", secret="s")
    assert await credentials(secret, "grant") == {"x-api-key": "s"}
    assert await credentials(replace(SHOP, scope="api://shop/.default")) == {
        "authorization": "Bearer for api://shop/.default"
    }
    assert await credentials(replace(SHOP, scope="")) == {}
    assert await credentials(replace(SHOP, auth=ServerAuth.OBO), "grant") == {"authorization": "Bearer grant"}


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (replace(SHOP, auth=ServerAuth.OBO), GRANT_EXPIRED),
        (replace(SHOP, scope="forbidden"), "The call was not sent: no access token was issued."),
    ],
)
async def test_a_call_without_its_token_is_not_sent(server: ToolServer, reason: str) -> None:
    with pytest.raises(ToolError) as raised:
        await credentials(server)
    assert (raised.value.failure, str(raised.value)) == (CallFailure.NOT_SENT, reason)


def test_a_key_stands_where_the_file_says_and_nowhere_else() -> None:
    in_argument: ServerTool = replace(REFUND, key=IdempotencyKey(place=KeyPlace.ARGUMENT, name="key"))
    assert (key_header(REFUND, "k"), key_argument(REFUND, "k")) == ({"Idempotency-Key": "k"}, {})
    assert (key_header(in_argument, "k"), key_argument(in_argument, "k")) == ({}, {"key": "k"})
    assert (key_header(FIND, "k"), key_argument(FIND, "k")) == ({}, {})
