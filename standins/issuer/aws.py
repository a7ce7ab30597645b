"""How does AWS's Security Token Service exchange an Entra token for credentials of a role?

The wire is that of botocore's service model `sts/2011-06-15`: a form in, XML out.
"""

from datetime import UTC, datetime
from xml.sax.saxutils import escape

import jwt
from aiohttp import web

from standins.issuer.aws_keys import issued_credentials
from standins.issuer.federation import AWS_ROLE
from standins.issuer.google import member_of, trusted_subject
from standins.issuer.issuer_state import IssuerState

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
DURATIONS = range(900, 43_201)
REQUIRED = ("RoleArn", "RoleSessionName", "WebIdentityToken")
DENIED = "Not authorized to perform sts:AssumeRoleWithWebIdentity"


async def assume_role(state: IssuerState, request: web.Request) -> web.Response:
    """Issue credentials to the holder of a web identity that the role's trust policy names."""
    form = {name: str(value) for name, value in (await request.post()).items()}
    if form.get("Action") != "AssumeRoleWithWebIdentity" or form.get("Version") != "2011-06-15":
        return rejection(400, "InvalidAction", f"Could not find operation {form.get('Action')}")
    duration_s = form.get("DurationSeconds", "3600")
    if not all(form.get(name) for name in REQUIRED) or not duration_s.isdecimal() or int(duration_s) not in DURATIONS:
        return rejection(400, "ValidationError", "1 validation error detected")
    if not state.conditions.provider:
        return rejection(400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account")
    try:
        subject = await trusted_subject(state, form["WebIdentityToken"])
    except jwt.InvalidTokenError as problem:
        code = "ExpiredTokenException" if "stale" in str(problem) else "InvalidIdentityToken"
        return rejection(400, code, str(problem))
    if form["RoleArn"] != AWS_ROLE or member_of(subject) not in state.conditions.members:
        return rejection(403, "AccessDenied", DENIED)
    expires_at = int(state.now()) + min(int(duration_s), state.conditions.access_lifetime)
    return granted(form, subject, expires_at)


def granted(form: dict[str, str], subject: str, expires_at: int) -> web.Response:
    found = issued_credentials(expires_at)
    fields = {
        "AccessKeyId": found.access_key,
        "SecretAccessKey": found.secret_key,
        "SessionToken": found.session_token,
        "Expiration": f"{datetime.fromtimestamp(expires_at, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    arn = f"{AWS_ROLE.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/{form['RoleSessionName']}"
    user = {"AssumedRoleId": f"AROA123EXAMPLE:{form['RoleSessionName']}", "Arn": arn}
    result = (
        f"<SubjectFromWebIdentityToken>{escape(subject)}</SubjectFromWebIdentityToken>"
        f"<AssumedRoleUser>{elements(user)}</AssumedRoleUser><Credentials>{elements(fields)}</Credentials>"
    )
    return xml(
        f'<AssumeRoleWithWebIdentityResponse xmlns="{NAMESPACE}"><AssumeRoleWithWebIdentityResult>{result}'
        f"</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )


def elements(texts: dict[str, str]) -> str:
    return "".join(f"<{name}>{escape(text)}</{name}>" for name, text in texts.items())


def rejection(status: int, code: str, message: str) -> web.Response:
    error = elements({"Type": "Sender", "Code": code, "Message": message})
    return xml(
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error>{error}</Error><RequestId>0</RequestId></ErrorResponse>', status
    )


def xml(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/xml")
