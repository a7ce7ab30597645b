"""By which names does Google know this app, and trust the tenant that it comes from?"""

from standins.issuer.entra_tokens import MANAGED_IDENTITY

PROJECT_NUMBER = "123456789012"
POOL = "ganglion"
POOL_PATH = f"projects/{PROJECT_NUMBER}/locations/global/workloadIdentityPools/{POOL}"
PROVIDER = f"//iam.googleapis.com/{POOL_PATH}/providers/entra"
RESOURCE = "api://ganglion-federation"
"""What the app asks its Entra token for, and the audience that the provider expects in it."""

SERVICE_ACCOUNT = "ganglion-caller@ganglion-demo.iam.gserviceaccount.com"
ACCOUNT_ID = "108204268033311374519"
MEMBER = f"principal://iam.googleapis.com/{POOL_PATH}/subject/{MANAGED_IDENTITY}"
