"""Under which names does Google trust this app and its Entra tenant?"""

from standins.issuer.entra_tokens import MANAGED_IDENTITY

PROJECT_NUMBER = "123456789012"
POOL = "ganglion"
POOL_PATH = f"projects/{PROJECT_NUMBER}/locations/global/workloadIdentityPools/{POOL}"
PROVIDER = f"//iam.googleapis.com/{POOL_PATH}/providers/entra"
RESOURCE = "api://ganglion-federation"
"""The resource of the app's Entra token, which is the audience that the provider expects."""

SERVICE_ACCOUNT = "ganglion-caller@ganglion-demo.iam.gserviceaccount.com"
AWS_ROLE = "arn:aws:iam::123456789012:role/ganglion"
"""The role whose trust policy names the OIDC provider of the tenant, RESOURCE and the members."""

ACCOUNT_ID = "108204268033311374519"
MEMBER = f"principal://iam.googleapis.com/{POOL_PATH}/subject/{MANAGED_IDENTITY}"
