"""What OpenVEX documents say of the builds of a Python project: which vulnerabilities are fixed in which version.

Read leniently: forms of version 0.0.1 and 0.2 of the specification, purls as ``products[].@id``, as
``products[].identifiers.purl`` or as plain texts, ``%2B`` or ``+``. What is of another form is left out; what is no
document at all raises ValueError. Everything is bounded, every text is printable.
Source: the OpenVEX specification (https://github.com/openvex/spec); Chainguard's feed
(``https://libraries.cgr.dev/openvex/v1/all.json``), whose list names one document for each project.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from scanner.wheel import release_of

FIXED: Final = "fixed"
STATUSES: Final = ("fixed", "not_affected", "affected", "under_investigation")
_MOST_STATEMENTS: Final = 20_000
_MOST_OF_ONE: Final = 1000
"""Products or aliases of one statement."""
_LONGEST: Final = 200
_ID: Final = re.compile(r"pypi/([A-Za-z0-9][A-Za-z0-9._-]{0,200})\.openvex\.json", re.ASCII)
_CVE: Final = re.compile(r"CVE-\d{4}-\d{4,19}", re.ASCII)
_START: Final = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is said of one vulnerability in one product. ``version`` None is any version of the project."""

    vulnerability: str
    aliases: tuple[str, ...]
    project: NormalizedName
    version: Version | None
    status: str
    at: dt.datetime

    @property
    def key(self) -> tuple[str, str, Version | None]:
        """What a later statement takes the place of."""
        return self.vulnerability, self.project, self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What is said of one vulnerability and one release of a project.

    ``status`` is ``fixed`` where a build of the release has it fixed, the first of them being ``fixed_version``; else
    what is said of the version that was asked for. ``here`` is that in any case, None where nothing is said of it.
    """

    vulnerability: str
    cves: tuple[str, ...]
    aliases: tuple[str, ...]
    status: str
    fixed_version: str | None
    here: str | None


def statements_of(data: bytes) -> tuple[Statement, ...]:
    """What a document says of Python projects, the oldest first; ValueError for what is no OpenVEX document."""
    document = _object(data)
    rows = document.get("statements")
    if not isinstance(rows, list):
        raise ValueError("no OpenVEX document: it has no list 'statements'")  # noqa: TRY004 - of a document
    at = _time(document, _START)
    found = [one for row in rows[:_MOST_STATEMENTS] if isinstance(row, dict) for one in _statements(row, at)]
    return tuple(sorted(found[:_MOST_STATEMENTS], key=lambda one: one.at))


def listed_of(data: bytes) -> Mapping[NormalizedName, tuple[str, str]] | None:
    """The documents of Python projects that a list names: their ids and when they were changed, as the list says it.

    None where it is no list; ValueError for what is no JSON object. An id is a path of two plain segments.
    """
    entries = _object(data).get("entries")
    if not isinstance(entries, list):
        return None
    listed: dict[NormalizedName, tuple[str, str]] = {}
    for entry in entries[:_MOST_STATEMENTS]:
        said = entry.get("id") if isinstance(entry, dict) else None
        found = _ID.fullmatch(said) if isinstance(said, str) else None
        if found is not None:
            listed[canonicalize_name(found[1])] = (found[0], _text(entry.get("modified")) or "")
    return listed


def fixes_of(statements: Sequence[Statement], project: NormalizedName, version: str | None) -> tuple[Fix, ...]:
    """What is said of a version and of other builds of its release, by the number of the vulnerability."""
    try:
        asked = Version(version or "")
    except InvalidVersion:
        return ()
    latest = {one.key: one for one in statements if one.project == project and _concerns(one, asked)}
    by_vulnerability: dict[str, list[Statement]] = {}
    for one in latest.values():
        by_vulnerability.setdefault(one.vulnerability, []).append(one)
    return tuple(sorted((_fix(several, asked) for several in by_vulnerability.values()), key=_order))


def _concerns(one: Statement, asked: Version) -> bool:
    return one.version is None or release_of(one.version) == release_of(asked)


def _fix(statements: Sequence[Statement], asked: Version) -> Fix:
    said = {one.version: one for one in statements}
    own = said.get(asked) or said.get(None)
    fixed = min((one.version for one in statements if one.status == FIXED and one.version is not None), default=None)
    names = dict.fromkeys(name for one in statements for name in (one.vulnerability, *one.aliases))
    cves = tuple(sorted((name for name in names if _CVE.fullmatch(name)), key=_numbers))
    vulnerability = statements[0].vulnerability
    here = own.status if own is not None else None
    return Fix(
        vulnerability=vulnerability,
        cves=cves,
        aliases=tuple(sorted(name for name in names if name not in cves and name != vulnerability)),
        status=FIXED if fixed is not None else here or statements[-1].status,
        fixed_version=str(fixed) if fixed is not None else None,
        here=here,
    )


def _order(fix: Fix) -> tuple[list[int], str]:
    return (_numbers(fix.cves[0]) if fix.cves else [], fix.vulnerability)


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]{1,19}", name)]


# --- one statement ---


def _object(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as problem:
        raise ValueError("no JSON") from problem
    if not isinstance(document, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - of a document
    return document


def _statements(row: Mapping[str, Any], document_at: dt.datetime) -> Iterator[Statement]:
    """One for each product that is a Python project."""
    status, names = row.get("status"), _names(row.get("vulnerability"))
    if status not in STATUSES or not names:
        return
    products = row.get("products")
    for product in products[:_MOST_OF_ONE] if isinstance(products, list) else ():
        for project, version in {*_purls(product)}:
            yield Statement(
                vulnerability=names[0],
                aliases=names[1:],
                project=project,
                version=version,
                status=str(status),
                at=_time(row, document_at),
            )


def _names(vulnerability: object) -> tuple[str, ...]:
    """The name of a vulnerability, then its aliases; its ``@id`` where it has no name."""
    if not isinstance(vulnerability, dict):
        name = _text(vulnerability)
        return (name,) if name else ()
    aliases = vulnerability.get("aliases")
    listed = aliases[:_MOST_OF_ONE] if isinstance(aliases, list) else []
    names = [_text(vulnerability.get("name")) or _text(vulnerability.get("@id")), *map(_text, listed)]
    return tuple(dict.fromkeys(name for name in names if name))


def _purls(product: object) -> Iterator[tuple[NormalizedName, Version | None]]:
    texts: list[object] = [product]
    if isinstance(product, dict):
        identifiers = product.get("identifiers")
        texts = [product.get("@id"), identifiers.get("purl") if isinstance(identifiers, dict) else None]
    for text in texts:
        found = _purl(text) if isinstance(text, str) else None
        if found is not None:
            yield found


def _purl(text: str) -> tuple[NormalizedName, Version | None] | None:
    """The project and version of ``pkg:pypi/NAME@VERSION``; None for another product (purl specification)."""
    if len(text) > _LONGEST or not text.lower().startswith("pkg:pypi/"):
        return None
    name, at, version = re.split(r"[?#]", text, maxsplit=1)[0].partition("/")[2].rpartition("@")
    if not at:
        return canonicalize_name(unquote(version)), None
    try:
        return canonicalize_name(unquote(name)), Version(unquote(version))
    except InvalidVersion:
        return None


def _text(value: object) -> str | None:
    """A short text that can be printed."""
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable() else None


def _time(row: Mapping[str, Any], otherwise: dt.datetime) -> dt.datetime:
    """When it was said last."""
    for name in ("last_updated", "timestamp"):
        try:
            said = dt.datetime.fromisoformat(_text(row.get(name)) or "")
        except ValueError:
            continue
        return said if said.tzinfo is not None else said.replace(tzinfo=dt.UTC)
    return otherwise
