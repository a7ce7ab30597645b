"""With which settings does the app find the stand-ins and the models of a cluster?"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from standins.cluster.process_specs import IDENTITY, PRIVATE_DATA, SHOP
from standins.issuer import entra_tokens, federation
from standins.processes.http_server import HOST


def app_settings(
    data: Path, issuer: entra_tokens.LocalIssuer, ports: Mapping[str, int], models: Iterable[str]
) -> dict[str, str]:
    """Gives all settings but those of the store; `ports` are those of the processes, by their names."""
    addresses = {name: f"http://{HOST}:{port}" for name, port in ports.items()}
    urls = {f"GANGLION_{variable_name(name)}_URL": f"{addresses[name]}/v1" for name in models}
    tenants = [entra_tokens.guid_of("tenant", name) for name in entra_tokens.TENANTS]
    issuer_url = addresses[IDENTITY]
    return {
        "GANGLION_DATA": str(data),
        "GANGLION_TOKEN_AUTHORITY": issuer_url,
        "GANGLION_TOKEN_AUDIENCE": entra_tokens.AUDIENCE,
        "GANGLION_TOKEN_TENANTS": ",".join(tenants),
        "GANGLION_CONSOLE_CLIENT_ID": entra_tokens.guid_of("app", "console"),
        "GANGLION_TELEMETRY": os.environ.get("GANGLION_TELEMETRY") or "standard",
        "IDENTITY_ENDPOINT": f"{issuer_url}/msi/token",
        "IDENTITY_HEADER": issuer.secret,
        "GANGLION_PRIVATE_DATA_URL": addresses[PRIVATE_DATA],
        "GANGLION_SHOP_URL": addresses[SHOP],
        "GANGLION_SOURCES_LOOPBACK": "true",
        "GANGLION_GOOGLE_STS_URL": issuer_url,
        "GANGLION_GOOGLE_IAM_URL": issuer_url,
        "GANGLION_GOOGLE_PROVIDER": federation.PROVIDER,
        "GANGLION_GOOGLE_SUBJECT_SCOPE": f"{federation.RESOURCE}/.default",
        "GANGLION_GOOGLE_SERVICE_ACCOUNT": federation.SERVICE_ACCOUNT,
        "GANGLION_AWS_STS_URL": issuer_url,
        "GANGLION_AWS_ROLE": federation.AWS_ROLE,
        "GANGLION_AWS_SUBJECT_SCOPE": f"{federation.RESOURCE}/.default",
        **urls,
    }


def variable_name(name: str) -> str:
    return name.upper().replace("-", "_")
