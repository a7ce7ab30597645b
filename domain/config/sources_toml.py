"""What does the file of the sources say?"""

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Final
from urllib.parse import urlsplit

from domain.config.toml_table import TomlTable, document
from domain.errors import ConfigurationError
from domain.files.storage_places import account_address, container_name
from domain.network_names import LOOPBACK
from domain.sources.blob_names import NAMED, PLACE, is_path
from domain.sources.catalog import CallerClaim, Source, SourceKind, Sources
from domain.sources.egress_policy import METADATA_NAMES, PRIVATE, Network

VARIABLE: Final = re.compile(r"%([A-Z][A-Z0-9_]{2,})%")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
PARAMETER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")
FILE_KINDS: Final = (SourceKind.SQLITE_SEARCH,)
TARGETS: Final = {SourceKind.COSMOS: 2, SourceKind.SQLITE_SEARCH: 1, SourceKind.AI_SEARCH: 1, SourceKind.HTTP: 0}
MOST_BYTES: Final = 8_388_608
KEYWORDS_LIMIT: Final = 16


def sources_from_toml(text: str, variables: Mapping[str, str], *, on_azure: bool) -> Sources:
    """Return the sources, `%NAME%` in their addresses and files replaced from the variables.

    A source whose variable is not set is left out. Raises ConfigurationError that names every mistake.
    """
    top = document(text, "sources")
    known: dict[str, Source] = {}
    unconfigured: set[str] = set()
    for name, table in top.tables("sources"):
        source = read_source(name, table, variables, on_azure=on_azure)
        if VARIABLE.search(source.address + source.path):
            unconfigured.add(name)
        else:
            known[name] = source
    defaults = read_defaults(top.table("defaults"), known.keys() | unconfigured)
    top.close()
    if top.problems:
        raise ConfigurationError(tuple(top.problems))
    return Sources(known=known, defaults=defaults, unconfigured=frozenset(unconfigured))


def read_source(name: str, table: TomlTable, variables: Mapping[str, str], *, on_azure: bool) -> Source:
    if not NAME.fullmatch(name):
        table.problems.append(f"{table.path}: expected a name of a-z, 0-9 and -, at most 40 characters")
    kind = table.choice("kind", SourceKind)
    source = Source(
        name=name,
        kind=kind,
        address=read_place(table, kind, variables, on_azure=on_azure),
        path=read_path(table, kind, variables),
        target=read_target(table, kind),
        query=table.text("query") if kind is SourceKind.COSMOS else "",
        partition=table.choices("partition", CallerClaim) if kind is SourceKind.COSMOS else (),
        parameters=read_parameters(table),
        keywords=table.within("keywords", 0, KEYWORDS_LIMIT) if table.values.get("keywords") else keywords_none(table),
        keywords_as=table.text("keywords_as", "q"),
        rows=table.texts("rows"),
        fields=read_names(table, "fields"),
        scope=table.text("scope") if "scope" in table.values else "",
        private=table.flag("private", default=True),
        networks=read_networks(table),
        tenants=frozenset(table.texts("tenants")),
        deadline_s=table.above_zero("deadline_s", 5.0),
        max_rows=table.whole("max_rows", 20),
        max_tokens=table.whole("max_tokens", 1000),
        is_tool=table.flag("tool", default=False),
        description=table.any_text("description", ""),
        max_bytes=table.within("max_bytes", 1, MOST_BYTES) if "max_bytes" in table.values else 1_000_000,
    )
    table.known |= {"scope", "max_bytes"} if kind is SourceKind.BLOB else {"scope"}
    table.close()
    check_scoped(source, table)
    check_blob(source, table)
    return source


def keywords_none(table: TomlTable) -> int:
    table.known.add("keywords")
    return 0


def check_scoped(source: Source, table: TomlTable) -> None:
    """A source that no claim narrows gives everybody the same: that must be said, by its tenants."""
    claims = (*source.parameters.values(), *source.partition)
    if not claims and not source.tenants:
        table.problems.append(f"{table.path}: expected parameters from claims, or the tenants that share its data")
    if proves_itself(source) and not source.address.startswith("https://") and not is_local(source.address):
        table.problems.append(f"{table.name_of('url')}: expected https to send a token to")


def check_blob(source: Source, table: TomlTable) -> None:
    """A path may use declared claims alone; what the input names is one blob, which no keywords are looked for in."""
    if source.kind is not SourceKind.BLOB:
        return
    usable = {name for name, claim in source.parameters.items() if claim is not CallerClaim.ROLES}
    if any(name not in usable for name in PLACE.findall(source.path.removesuffix(NAMED))):
        table.report("path", "only names of parameters, and no roles, in braces")
    if source.parameters.keys() - {*PLACE.findall(source.path)}:
        table.report("parameters", "only claims that stand in the path")
    if source.reads_named_blob and source.keywords:
        table.report("keywords", "none where the input names the blob")
    if len(source.target) > 1 and not source.reads_named_blob:
        table.report("target", "one container where the path names the blob")


def proves_itself(source: Source) -> bool:
    return bool(source.scope) or source.kind in {SourceKind.COSMOS, SourceKind.BLOB}


def is_local(address: str) -> bool:
    """Tell whether an address is on this machine, or is not known yet."""
    return bool(VARIABLE.search(address)) or urlsplit(address).hostname in LOOPBACK


def read_place(table: TomlTable, kind: SourceKind, variables: Mapping[str, str], *, on_azure: bool) -> str:
    if kind in FILE_KINDS:
        return ""
    if kind is SourceKind.BLOB:
        return read_account(table, variables, on_azure=on_azure)
    return read_address(table, variables, on_azure=on_azure)


def read_account(table: TomlTable, variables: Mapping[str, str], *, on_azure: bool) -> str:
    """Return the address of an account of Azure Storage; a local one names its account in the path."""
    address = expanded(table.text("url"), variables).rstrip("/")
    if not address or VARIABLE.search(address):
        return address
    try:
        parts = urlsplit(account_address(address))
        origin, is_plain = f"{parts.scheme}://{parts.netloc}", bool(PATH.fullmatch(parts.path))
    except ValueError:
        origin, is_plain = address, False
    problem = next((reason for reason, is_so in WRONG_ADDRESSES if is_so(origin, on_azure)), None)
    if problem or not is_plain or ".." in address:
        table.report("url", "the https address of an account, without a key, as https://account.blob.core.windows.net")
    return address


def read_address(table: TomlTable, variables: Mapping[str, str], *, on_azure: bool) -> str:
    """Return scheme, host and port; a path has a field of its own."""
    raw = table.text("url")
    address = expanded(raw, variables).rstrip("/")
    if not raw or VARIABLE.search(address):
        return address
    if problem := next((reason for reason, is_so in WRONG_ADDRESSES if is_so(address, on_azure)), None):
        table.problems.append(f"{table.name_of('url')}: {problem}")
    return address


def is_no_origin(address: str, _on_azure: bool) -> bool:  # noqa: FBT001 - one of a table of checks
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return True
    plain = address == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc and address.isascii()
    return not (plain and parts.scheme in {"http", "https"} and parts.hostname and port != 0)


def is_metadata(address: str, _on_azure: bool) -> bool:  # noqa: FBT001 - as above
    return (urlsplit(address).hostname or "").rstrip(".") in METADATA_NAMES


def is_own_machine(address: str, on_azure: bool) -> bool:  # noqa: FBT001 - as above
    host = (urlsplit(address).hostname or "").rstrip(".")
    return on_azure and (host in LOOPBACK or host.endswith(".localhost") or host.startswith("127."))


WRONG_ADDRESSES: Final[tuple[tuple[str, Callable[[str, bool], bool]], ...]] = (
    ("expected http(s)://host[:port] alone, without user, path, query or fragment", is_no_origin),
    ("a metadata service is no source", is_metadata),
    ("a loopback address is not allowed on Azure", is_own_machine),
)


def read_path(table: TomlTable, kind: SourceKind, variables: Mapping[str, str]) -> str:
    if kind in FILE_KINDS:
        return expanded(table.text("file"), variables)
    if kind is SourceKind.BLOB:
        return read_blob_path(table)
    if kind is not SourceKind.HTTP:
        return ""
    path = table.text("path")
    if not PATH.fullmatch(path) or ".." in path:
        table.report("path", "a path of plain segments, as /v1/orders")
    return path


def read_blob_path(table: TomlTable) -> str:
    path = table.text("path", NAMED)
    if not is_path(PLACE.sub("x", path)) or any(sign in PLACE.sub("x", path) for sign in "{}%"):
        table.report("path", "the name of a blob, as reports/{account}/all.csv or incoming/{blob}")
    if "{blob}" in path.removesuffix(NAMED) or (
        path.endswith(NAMED) and path.removesuffix(NAMED)[-1:] not in {"", "/"}
    ):
        table.report("path", "{blob} once, as the last part")
    return path


def read_containers(table: TomlTable) -> tuple[str, ...]:
    names = table.texts("target")
    try:
        good = [container_name(each) for each in names]
    except ValueError:
        good = []
    if not good:
        table.report("target", "a list of containers: 3 to 63 of a-z, 0-9 and single hyphens")
    return names


def read_target(table: TomlTable, kind: SourceKind) -> tuple[str, ...]:
    if kind is SourceKind.BLOB:
        return read_containers(table)
    wanted = TARGETS[kind]
    if not wanted:
        return ()
    target = read_names(table, "target", more="-")
    if len(target) != wanted:
        table.report("target", f"a list of {wanted} plain names")
    return target


def read_names(table: TomlTable, key: str, *, more: str = "") -> tuple[str, ...]:
    names = table.texts(key)
    wrong = [name for name in names if not PARAMETER.fullmatch(name.translate({ord(sign): "_" for sign in more}))]
    if wrong:
        table.report(key, "plain names of letters, digits and _")
    return names


def read_parameters(table: TomlTable) -> Mapping[str, CallerClaim]:
    given = table.table("parameters")
    found = {name: given.choice(name, CallerClaim) for name in given.values}
    wrong = [name for name in found if not PARAMETER.fullmatch(name)]
    if wrong:
        given.problems.append(f"{given.name_of(wrong[0])}: expected a plain name of letters, digits and _")
    return found


def read_networks(table: TomlTable) -> tuple[Network, ...]:
    """Return the networks that may contain a private source: each within the private ones."""
    found: list[Network] = []
    for text in table.texts("networks"):
        network = network_of(text)
        if network is None or not any(is_within(network, each) for each in PRIVATE):
            table.report("networks", "private networks, as 10.1.0.0/16")
            break
        found.append(network)
    return tuple(found)


def network_of(text: str) -> Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None


def is_within(network: Network, outer: Network) -> bool:
    return network.version == outer.version and network[0] in outer and network[-1] in outer


def read_defaults(table: TomlTable, names: set[str]) -> Mapping[str, tuple[str, ...]]:
    defaults = {tenant: table.texts(tenant) for tenant in table.values}
    for tenant, chosen in defaults.items():
        unknown = [name for name in chosen if name not in names]
        if unknown:
            table.problems.append(f"{table.name_of(tenant)}: expected names of sources, found {unknown[0]!r}")
    return defaults


def expanded(text: str, variables: Mapping[str, str]) -> str:
    return VARIABLE.sub(lambda match: variables.get(match[1]) or match[0], text)
