"""How does the demo's user sign in, and what does the access token contain?"""

from dataclasses import dataclass
from typing import Any

import httpx
import jwt

from standins.cluster.local_cluster import LocalCluster

TENANT = "contoso"
USER = "alice"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInUser:
    token: str

    def description(self) -> str:
        claims: dict[str, Any] = jwt.decode(self.token, options={"verify_signature": False})
        header = jwt.get_unverified_header(self.token)
        minutes = (claims["exp"] - claims["iat"]) // 60
        return f"{USER} of {TENANT}, Entra token: {header['alg']}, {minutes} minutes, scope {claims['scp']}"


async def sign_in(cluster: LocalCluster, client: httpx.AsyncClient) -> SignedInUser:
    """Signs in with a password at the stand-in for Entra."""
    form = {"grant_type": "password", "username": f"{USER}@{TENANT}", "password": cluster.issuer.secret}
    answer = await client.post(f"{cluster.issuer_url}/{TENANT}/oauth2/v2.0/token", data=form)
    return SignedInUser(token=answer.raise_for_status().json()["access_token"])
