"""Which checks are there, and which page explains each?"""

from typing import Final

from ganglion.doctor.areas import (
    backend_checks,
    blob_checks,
    clock_checks,
    file_checks,
    identity_checks,
    infrastructure_checks,
    model_checks,
    package_checks,
    pipeline_checks,
    settings_checks,
    store_checks,
)
from ganglion.doctor.findings import Check, outside, pure

SETTINGS: Final = "docs/operations.md#settings"
HOST: Final = "docs/operations.md#hostjson"
FLEET: Final = "docs/fleet.md"
PIPELINES: Final = "docs/pipelines.md"
BACKENDS: Final = "docs/backends.md"
SOURCES: Final = "docs/sources.md"
WEBHOOKS: Final = "docs/webhooks.md"
MONEY: Final = "docs/money.md"
SECURITY: Final = "docs/security.md"
INFRA: Final = "infra/README.md"
SET_UP: Final = "CONTRIBUTING.md#set-up"
TELEMETRY: Final = "docs/operations.md#telemetry"

CHECKS: Final = (
    Check(name="settings.values", doc=SETTINGS, run=pure(settings_checks.values)),
    Check(name="settings.misspelled", doc=SETTINGS, run=pure(settings_checks.misspelled_names)),
    Check(name="settings.unknown", doc=SETTINGS, run=pure(settings_checks.unknown_setting_names)),
    Check(name="settings.host_names", doc=HOST, run=pure(settings_checks.unknown_host_names)),
    Check(name="settings.strict_typing", doc=SETTINGS, run=pure(settings_checks.strict_typing)),
    Check(name="settings.reserved", doc=SETTINGS, run=pure(settings_checks.reserved_names)),
    Check(name="settings.budgets", doc=MONEY, run=pure(settings_checks.budgets_exist)),
    Check(name="settings.budget_sizes", doc=MONEY, run=pure(settings_checks.budget_sizes)),
    Check(name="settings.sync_wait", doc=SETTINGS, run=pure(settings_checks.synchronous_wait)),
    Check(name="settings.handover", doc=SETTINGS, run=pure(settings_checks.handover)),
    Check(name="settings.stream", doc=SETTINGS, run=pure(settings_checks.stream_limit)),
    Check(name="settings.sweeper", doc=SETTINGS, run=pure(settings_checks.sweeper_delays)),
    Check(name="settings.credentials", doc=SECURITY, run=pure(settings_checks.credential_settings)),
    Check(name="settings.key_file", doc=SECURITY, run=pure(settings_checks.key_files)),
    Check(name="files.prices", doc=FLEET, run=pure(file_checks.prices)),
    Check(name="files.systems", doc=FLEET, run=pure(file_checks.systems)),
    Check(name="files.fleet", doc=FLEET, run=pure(file_checks.fleet)),
    Check(name="files.sources", doc=SOURCES, run=pure(file_checks.sources)),
    Check(name="files.webhooks", doc=WEBHOOKS, run=pure(file_checks.webhooks)),
    Check(name="files.tools", doc="docs/tools.md", run=pure(file_checks.tools)),
    Check(name="files.pipelines", doc=PIPELINES, run=pure(file_checks.pipelines)),
    Check(name="files.budgets", doc=MONEY, run=pure(file_checks.budgets)),
    Check(name="files.price_age", doc=FLEET, run=pure(file_checks.price_age)),
    Check(name="files.tokenizers", doc=FLEET, run=outside(file_checks.tokenizers)),
    Check(name="files.host", doc=HOST, run=pure(file_checks.host)),
    Check(name="host.route_prefix", doc=HOST, run=pure(file_checks.route_prefix)),
    Check(name="host.bundle", doc=HOST, run=pure(file_checks.bundle)),
    Check(name="host.versions", doc=HOST, run=pure(file_checks.version_strategy)),
    Check(name="host.polling", doc=HOST, run=pure(file_checks.polling)),
    Check(name="package.contents", doc="docs/operations.md#to-azure", run=pure(package_checks.contents)),
    Check(name="package.exclusions", doc="docs/operations.md#to-azure", run=pure(package_checks.exclusions)),
    Check(name="package.python", doc=SET_UP, run=pure(package_checks.python_version)),
    Check(name="package.installed", doc=SET_UP, run=pure(package_checks.installed)),
    Check(name="package.hashes", doc=SET_UP, run=pure(package_checks.hashes)),
    Check(name="identity.audience", doc=SECURITY, run=pure(identity_checks.audience)),
    Check(name="identity.tenants", doc=SECURITY, run=pure(identity_checks.tenants)),
    Check(name="identity.issuer", doc=SECURITY, run=outside(identity_checks.issuer)),
    Check(name="identity.clock", doc=SECURITY, run=outside(clock_checks.issuer)),
    Check(name="identity.token", doc=SECURITY, run=pure(identity_checks.token)),
    Check(name="identity.token_version", doc=SECURITY, run=pure(identity_checks.token_version)),
    Check(name="identity.permission", doc=SECURITY, run=pure(identity_checks.token_permission)),
    Check(name="identity.managed", doc=INFRA, run=outside(identity_checks.managed_identity)),
    Check(name="identity.google_sts", doc=INFRA, run=outside(identity_checks.google_sts)),
    Check(name="identity.google_iam", doc=INFRA, run=outside(identity_checks.google_iam)),
    Check(name="identity.aws_sts", doc=INFRA, run=outside(identity_checks.aws_sts)),
    Check(name="backends.enabled", doc=FLEET, run=pure(file_checks.enabled_backends)),
    Check(name="backends.resolve", doc=FLEET, run=outside(backend_checks.resolve)),
    Check(name="backends.reach", doc=FLEET, run=outside(backend_checks.reach)),
    Check(name="backends.authenticate", doc=FLEET, run=outside(backend_checks.authenticate)),
    Check(name="backends.models", doc=FLEET, run=outside(backend_checks.models)),
    Check(name="backends.probe", doc=BACKENDS, run=outside(model_checks.probe)),
    Check(name="backends.answer", doc=BACKENDS, run=outside(model_checks.answer)),
    Check(name="backends.json", doc=BACKENDS, run=outside(model_checks.json_answer)),
    Check(name="backends.continuation", doc=BACKENDS, run=outside(model_checks.continuation)),
    Check(name="backends.speed", doc=BACKENDS, run=outside(model_checks.speed)),
    Check(name="store.account", doc=SETTINGS, run=pure(store_checks.account)),
    Check(name="store.reach", doc=INFRA, run=outside(store_checks.reach)),
    Check(name="store.consistency", doc=INFRA, run=outside(store_checks.consistency)),
    Check(name="store.containers", doc=INFRA, run=outside(store_checks.containers)),
    Check(name="store.access", doc=INFRA, run=outside(store_checks.access)),
    Check(name="store.clock", doc=INFRA, run=outside(clock_checks.store)),
    Check(name="blobs.body_size", doc=SETTINGS, run=pure(blob_checks.body_size)),
    Check(name="blobs.reach", doc=INFRA, run=outside(blob_checks.reach)),
    Check(name="blobs.container", doc=INFRA, run=outside(blob_checks.container)),
    Check(name="blobs.access", doc=INFRA, run=outside(blob_checks.access)),
    Check(name="hub.name", doc=HOST, run=pure(store_checks.hub_name)),
    Check(name="hub.storage", doc=HOST, run=pure(store_checks.hub_storage)),
    Check(name="hub.keys", doc=SECURITY, run=pure(store_checks.hub_keys)),
    Check(name="hub.scheduler", doc=HOST, run=pure(store_checks.scheduler)),
    Check(name="hub.shared", doc="docs/runbooks.md", run=outside(store_checks.shared_hub)),
    Check(name="network.private", doc=INFRA, run=outside(infrastructure_checks.private_names)),
    Check(name="network.sources", doc=SOURCES, run=outside(infrastructure_checks.source_networks)),
    Check(name="sources.reach", doc=SOURCES, run=outside(infrastructure_checks.source_reach)),
    Check(name="sources.blobs", doc=SOURCES, run=outside(blob_checks.sources)),
    Check(name="pipelines.references", doc=PIPELINES, run=pure(pipeline_checks.references)),
    Check(name="pipelines.queues", doc=PIPELINES, run=pure(pipeline_checks.queues)),
    Check(name="webhooks.reach", doc=WEBHOOKS, run=outside(infrastructure_checks.webhook_reach)),
    Check(name="gpu.start_up_probe", doc=INFRA, run=pure(infrastructure_checks.start_up_probe)),
    Check(name="gpu.count", doc=FLEET, run=outside(backend_checks.counts)),
    Check(name="gpu.quota", doc=INFRA, run=outside(infrastructure_checks.gpu_quota)),
    Check(name="telemetry.connection", doc=TELEMETRY, run=pure(infrastructure_checks.connection_string)),
    Check(name="telemetry.collector", doc=TELEMETRY, run=outside(infrastructure_checks.collector)),
    Check(name="telemetry.arrival", doc=TELEMETRY, run=outside(infrastructure_checks.arrival)),
    Check(name="telemetry.console", doc=TELEMETRY, run=pure(infrastructure_checks.console_on_azure)),
    Check(name="boards.present", doc="docs/operations.md#boards", run=outside(infrastructure_checks.boards)),
    Check(name="app.alive", doc="docs/operations.md", run=outside(backend_checks.app_alive)),
    Check(name="app.ready", doc="docs/operations.md", run=outside(backend_checks.app_ready)),
    Check(name="app.backends", doc="docs/operations.md", run=outside(backend_checks.app_backends)),
)
"""In the order in which their results are shown."""
