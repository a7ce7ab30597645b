"""How does a backend's entry say that its calls prove who we are?"""

import re
from collections.abc import Mapping
from typing import Final

from domain.config.toml_table import TomlTable, expanded, origin_of, private
from domain.fleet.catalog import Auth, AuthKind
from domain.identity.federation import AWS_ROLE, service_account_name

AUTH_NEEDS: Final[Mapping[AuthKind, tuple[str, ...]]] = {
    AuthKind.GOOGLE_ACCESS_TOKEN: ("scope",),
    AuthKind.ENTRA: ("scope",),
    AuthKind.STATIC_BEARER: ("setting",),
    AuthKind.AWS_KEY: ("service", "region"),
    AuthKind.AWS_SIGV4: ("service", "region"),
}
"""The fields without which an authentication can't work. A Google ID token's audience defaults to the URL's origin."""

KEY_SERVICES: Final = ("bedrock", "sagemaker")
"""The services of AWS that accept a short-term key."""

AWS_NAME: Final = re.compile(r"[a-z0-9-]{2,40}")


def read_auth(table: TomlTable, url: str, variables: Mapping[str, str]) -> Auth:
    kind = table.choice("kind", AuthKind, AuthKind.NONE)
    audience = table.optional("audience", table.text)
    if audience is None and kind is AuthKind.GOOGLE_ID_TOKEN:
        audience = origin_of(url)
    auth = Auth(
        kind=kind,
        audience=None if audience is None else expanded(audience, variables),
        scope=table.optional("scope", table.text),
        setting=table.optional("setting", table.text),
        service_account=table.optional("service_account", table.text),
        service=table.optional("service", table.text),
        region=table.optional("region", table.text),
        role=table.optional("role", table.text),
    )
    check_service_account(auth.service_account, table)
    check_aws(auth, table)
    for need in AUTH_NEEDS.get(kind, ()):
        if need not in table.values:
            table.problems.append(f"{table.name_of(need)}: expected text, which {kind} needs, found nothing")
    if kind is not AuthKind.NONE and not private(url):
        table.problems.append(f"{table.path}: expected an https address to send a token to, found {url!r}")
    table.close()
    return auth


def check_service_account(name: str | None, table: TomlTable) -> None:
    try:
        service_account_name(name or "a@a.gserviceaccount.com")
    except ValueError:
        table.report("service_account", "NAME@PROJECT.iam.gserviceaccount.com")


def check_aws(auth: Auth, table: TomlTable) -> None:
    if auth.kind is AuthKind.AWS_KEY and auth.service not in (None, *KEY_SERVICES):
        table.report("service", f"one of {', '.join(KEY_SERVICES)}, the services with short-term keys")
    for field, value in (("service", auth.service), ("region", auth.region)):
        if value and not AWS_NAME.fullmatch(value):
            table.report(field, f"a {field} of AWS in small letters, digits and dashes")
    if auth.role and not AWS_ROLE.fullmatch(auth.role):
        table.report("role", "arn:aws:iam::ACCOUNT:role/NAME")
