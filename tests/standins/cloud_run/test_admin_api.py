"""Does the stand-in of the Admin API read a patch as Google does, and let editors alone change the service?"""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from standins.cloud_run.admin_api import OPAQUE, EditorCheck, Operation, asked_wait_s, error, manual_count, service_json
from standins.cloud_run.invoker_check import GoogleKeySet

MASK = "scaling.scalingMode,scaling.manualInstanceCount"


def patch(count: Any, mode: Any = "MANUAL") -> bytes:
    return json.dumps({"scaling": {"scalingMode": mode, "manualInstanceCount": count}}).encode()


@pytest.mark.parametrize(
    ("body", "mask", "count"),
    [
        (patch(0), MASK, 0),
        (patch(3), ",".join(reversed(MASK.split(","))), 3),
        (patch(3, 2), "scaling", 3),
        (patch(-1), MASK, None),
        (patch("3"), MASK, None),
        (patch(True), MASK, None),
        (patch(3, "AUTOMATIC"), MASK, None),
        (patch(3), "", None),
        (patch(3), "template", None),
        (b"{}", MASK, None),
        (b"[]", MASK, None),
        (b"no JSON", MASK, None),
        (b'{"scaling": null}', MASK, None),
    ],
)
def test_only_a_patch_of_the_count_changes_it(body: bytes, mask: str, count: int | None) -> None:
    assert manual_count(body, mask) == count


async def test_an_operation_has_its_response_when_it_is_done() -> None:
    operation = Operation(
        name="projects/p/locations/l/operations/1", service="projects/p/locations/l/services/s", count=2
    )
    assert "done" not in operation.to_json()
    operation.done.set()
    done = operation.to_json()
    assert (done["done"], done["response"]["scaling"]) == (True, {"scalingMode": "MANUAL", "manualInstanceCount": 2})
    assert done["response"]["@type"] == "type.googleapis.com/google.cloud.run.v2.Service"


def test_a_service_that_was_never_scaled_by_hand_has_no_count() -> None:
    assert service_json("s", None) == {"name": "s", "scaling": {}}


@pytest.mark.parametrize(("status", "name"), [(403, "PERMISSION_DENIED"), (409, "ABORTED"), (418, "UNKNOWN")])
def test_an_error_has_googles_name(status: int, name: str) -> None:
    found = json.loads(error(status, "no").text or "")
    assert found == {"error": {"code": status, "message": "no", "status": name}}


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NOW = 1000.0
EDITOR = "app@project.iam.gserviceaccount.com"


def editor_check() -> EditorCheck:
    keys = GoogleKeySet("http://127.0.0.1:1/nowhere")
    entry = {**RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "k1", "use": "sig", "alg": "RS256"}
    keys.by_id = {"k1": jwt.PyJWK(entry)}
    return EditorCheck(keys=keys, clock=lambda: NOW, editors=frozenset({EDITOR}))


def bearer(key: rsa.RSAPrivateKey = KEY, kid: str = "k1", **changes: Any) -> str:
    claims = {"aud": OPAQUE, "sub": EDITOR, "exp": NOW + 1, **changes}
    shown = {name: value for name, value in claims.items() if value is not None}
    return f"Bearer {OPAQUE}{jwt.encode(shown, key, algorithm='RS256', headers={'kid': kid})}"


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (bearer(), 200),
        (bearer().replace("Bearer", "bearer"), 200),
        (bearer(sub="other@project.iam.gserviceaccount.com"), 403),
        (bearer(sub=None), 403),
        (bearer(exp=NOW), 401),
        (bearer(exp=None), 401),
        (bearer(aud="https://elsewhere"), 401),
        (bearer(OTHER_KEY), 401),
        (bearer(kid="unknown"), 401),
        (f"Bearer {OPAQUE}no-token", 401),
        ("Basic dXNlcg==", 401),
        (None, 401),
    ],
)
async def test_only_an_editor_with_a_valid_token_changes_the_service(authorization: str | None, status: int) -> None:
    assert await editor_check().status(authorization) == status


@pytest.mark.parametrize(
    ("body", "wait_s"),
    [
        (b"", 30.0),
        (b'{"timeout": "2.5s"}', 2.5),
        (b'{"timeout": "nan"}', None),
        (b'{"timeout": "-1s"}', None),
        (b'{"timeout": []}', None),
        (b"[]", None),
        (b"x", None),
    ],
)
def test_a_wait_has_a_timeout_that_is_a_number_of_seconds(body: bytes, wait_s: float | None) -> None:
    assert asked_wait_s(body) == wait_s
