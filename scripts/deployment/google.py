"""How is Google's part created and removed? By Terraform, whose state lies in a bucket of the project."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scripts.deployment.commands import CommandRunner, DeploymentError, answer

FOLDER: Final = "-chdir=infra/google"
L4_REGIONS: Final = (
    "asia-south1",
    "asia-southeast1",
    "europe-west1",
    "europe-west4",
    "us-central1",
    "us-east4",
)
"""Regions of Cloud Run with L4 GPUs (cloud.google.com/run/docs/configuring/services/gpu, 2026-08)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleValues:
    """What the person chose: the project, the region of the GPU, and the bucket and the folder of the weights."""

    project: str
    region: str
    weights_bucket: str
    weights_folder: str
    name: str

    @property
    def state(self) -> str:
        return f"{self.project}-{self.name}-terraform"


def values_of(environment: Mapping[str, str]) -> GoogleValues | None:
    """Return the choice, or None for a deployment without Google; raises DeploymentError with the name of a value."""
    project = environment.get("GOOGLE_PROJECT", "")
    if project in ("", "none"):
        return None
    bucket, _, folder = environment.get("GOOGLE_WEIGHTS", "").removeprefix("gs://").strip("/").partition("/")
    if not bucket or not folder:
        raise DeploymentError("GOOGLE_WEIGHTS must be gs://BUCKET/FOLDER: azd env set GOOGLE_WEIGHTS gs://…")
    region = environment.get("GOOGLE_REGION", "") or "us-central1"
    if region not in L4_REGIONS:
        raise DeploymentError(
            f"GOOGLE_REGION {region!r} has no L4 GPUs on Cloud Run; choose one of {', '.join(L4_REGIONS)}"
        )
    return GoogleValues(
        project=project,
        region=region,
        weights_bucket=bucket,
        weights_folder=folder,
        name=environment["AZURE_ENV_NAME"],
    )


def apply(
    run: CommandRunner, values: GoogleValues, *, tenant: str, identity_object_id: str, audience: str
) -> dict[str, str]:
    """Create or correct Google's part; returns the settings of the app."""
    address = f"gs://{values.state}"
    if not run("gcloud", "storage", "buckets", "describe", address, "--format=value(name)", succeeds=False):
        options = (f"--project={values.project}", f"--location={values.region}", "--uniform-bucket-level-access")
        run("gcloud", "storage", "buckets", "create", address, *options, "--public-access-prevention")
        run("gcloud", "storage", "buckets", "update", address, "--versioning")
    initialize(run, values)
    given = variables(values, tenant=tenant, identity_object_id=identity_object_id, audience=audience)
    run("terraform", FOLDER, "apply", "-input=false", "-auto-approve", *given)
    outputs = {name: str(each["value"]) for name, each in answer(run("terraform", FOLDER, "output", "-json")).items()}
    return {
        "GANGLION_CLOUD_RUN_L4_URL": outputs["url"],
        "GANGLION_GOOGLE_PROVIDER": outputs["provider"],
        "GANGLION_GOOGLE_SERVICE_ACCOUNT": outputs["service_account"],
    }


def remove(run: CommandRunner, values: GoogleValues, *, tenant: str, identity_object_id: str, audience: str) -> None:
    """Remove Google's part; the bucket of the state stays, because it is the record of what was removed."""
    initialize(run, values)
    given = variables(values, tenant=tenant, identity_object_id=identity_object_id, audience=audience)
    run("terraform", FOLDER, "destroy", "-input=false", "-auto-approve", *given)


def initialize(run: CommandRunner, values: GoogleValues) -> None:
    backend = (f"-backend-config=bucket={values.state}", f"-backend-config=prefix={values.name}")
    run("terraform", FOLDER, "init", "-input=false", "-reconfigure", *backend)


def variables(values: GoogleValues, *, tenant: str, identity_object_id: str, audience: str) -> list[str]:
    given = {
        "project": values.project,
        "region": values.region,
        "name": values.name,
        "weights_bucket": values.weights_bucket,
        "weights_folder": values.weights_folder,
        "azure_tenant": tenant,
        "azure_identity_object_id": identity_object_id,
        "federation_audience": audience,
    }
    return [f"-var={name}={value}" for name, value in given.items()]
