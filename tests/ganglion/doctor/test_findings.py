"""Are the secrets of an application kept out of what a check reports?"""

import pytest

from ganglion.doctor.findings import redacted

VARIABLES = {
    "GANGLION_COSMOS_KEY": "abcdef",
    "AzureWebJobsStorage__CONNECTION": "abcdefgh",
    "GANGLION_TOKEN_AUDIENCE": "audience",
    "GANGLION_WEBHOOK_SECRET": "short",
    "GANGLION_ACCESS_TOKEN": "token-1",
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key abcdef is refused", "key *** is refused"),
        ("abcdefgh and abcdef", "*** and ***"),
        ("token-1 for audience", "*** for audience"),
        ("short is too short for a secret", "short is too short for a secret"),
        ("https://user:password@host/path", "https://***@host/path"),
        ("amqps://u@host, and a@b", "amqps://***@host, and a@b"),
        ("https://host/path@version", "https://host/path@version"),
    ],
)
def test_secrets_and_credentials_in_addresses_are_hidden(text: str, shown: str) -> None:
    assert redacted(text, VARIABLES) == shown
