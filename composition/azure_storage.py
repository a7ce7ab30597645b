"""Which accounts of Azure Storage does the application use? Its libraries are optional, and imported where they are."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec

from clients.azure_storage.port import AnswerStorage, NoStorage
from clients.clock import Clock
from clients.files.port import FileContents
from clients.sources.egress import PinnedClient
from clients.sources.port import SourceConnector
from composition.parts import Configuration
from domain.config.environment import PREFIX
from domain.sources.catalog import Source, SourceKind, Sources
from domain.turns.sink_endpoints import STORAGE
from settings import Settings

INSTALL = "is not installed; install requirements-storage.txt (make package STORAGE=1)"


def missing_libraries(configuration: Configuration) -> Sequence[str]:
    """Return what needs libraries that are not installed."""
    if find_spec("azure.storage") is not None:
        return ()
    files = [f"{PREFIX}BLOB_URL: azure-storage-blob {INSTALL}"] if configuration.settings.blob_url else []
    sinks = [
        f"pipelines.{each.name}.sink.{each.sink.kind}: azure-storage-{each.sink.kind} {INSTALL}"
        for each in configuration.pipelines.known.values()
        if each.sink.kind in STORAGE
    ]
    blobs = [f"sources.{each.name}: azure-storage-blob {INSTALL}" for each in blob_sources(configuration.sources)]
    return (*files, *sinks, *blobs)


def blob_sources(sources: Sources) -> Sequence[Source]:
    return [each for each in sources.known.values() if each.kind is SourceKind.BLOB]


def blob_reader(configuration: Configuration, clock: Clock) -> Callable[[PinnedClient], SourceConnector] | None:
    """Return what reads the blobs of sources; None where no source is one."""
    if not blob_sources(configuration.sources):
        return None
    from clients.azure_storage.account import storage_identity  # noqa: PLC0415 - its imports are slow, and few apps need them
    from clients.azure_storage.blob_source import BlobSource  # noqa: PLC0415 - as above

    identity = storage_identity(configuration.settings.variables)
    return lambda client: BlobSource(client, identity, clock)


def large_files(settings: Settings, clock: Clock) -> FileContents | None:
    """Return the place of files above GANGLION_FILE_LIMIT; None where there is none."""
    if settings.blob_url is None:
        return None
    from clients.azure_storage.account import storage_identity  # noqa: PLC0415 - its imports are slow, and few apps need them
    from clients.azure_storage.blob_contents import BlobContents  # noqa: PLC0415 - as above

    identity = storage_identity(settings.variables)
    return BlobContents(settings.blob_url, settings.blob_container, identity, clock)


def answer_storage(configuration: Configuration, clock: Clock) -> AnswerStorage:
    """Return what puts answers into queues and containers, where a pipeline has such a sink."""
    if not any(each.sink.kind in STORAGE for each in configuration.pipelines.known.values()):
        return NoStorage()
    from clients.azure_storage.account import storage_identity  # noqa: PLC0415 - its imports are slow, and few apps need them
    from clients.azure_storage.answers import AzureAnswers  # noqa: PLC0415 - as above

    return AzureAnswers(storage_identity(configuration.settings.variables), clock)
