"""The indexes under examination, each with what it answered of the probe projects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from scanner.doctor.ways import InPlace, OverHttp, Seen, Way
from scanner.errors import CgscanError, UsageError
from scanner.index import IndexFile, IndexSpec, Role
from scanner.indexes import open_index
from scanner.indexes.credentials import Keyring, shown
from scanner.indexes.kinds import REMOTE, kind_of, simple_url
from scanner.store import NoStore

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from scanner.http import Client, Credentials
    from scanner.limits import Limits

_BUILT: Final = ("blinker", "itsdangerous", "click", "amqp", "annotated-types", "flask", "six", "idna")
_REMEDIATED: Final = ("werkzeug", "celery")
_COPIED: Final = ("charset-normalizer", "pytz")
_LAST: Final = (401,)
"""What an index answers to every question, if it answers it to one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A project that is asked for, at one version or at all. ``is_built``: Chainguard is known to build it."""

    project: NormalizedName
    version: Version | None = None
    is_built: bool = True

    def __str__(self) -> str:
        return f"{self.project}=={self.version}" if self.version else str(self.project)


USUAL: Final = (
    *(Probe(project=canonicalize_name(name)) for name in (*_BUILT, *_REMEDIATED)),
    *(Probe(project=canonicalize_name(name), is_built=False) for name in _COPIED),
)
"""Small and well known: some that Chainguard builds, two of them with ``+cgr.N`` versions too, and two that its index
was seen to serve as copies of PyPI's."""


def probe_of(text: str) -> Probe:
    """``PROJECT`` or ``PROJECT==VERSION``; whoever names it says that Chainguard builds it."""
    name, equals, version = text.partition("==")
    try:
        project = canonicalize_name(name.strip(), validate=True)
        return Probe(project=project, version=Version(version) if equals else None)
    except (ValueError, InvalidVersion) as problem:
        raise UsageError(
            f"--probe: {ascii(text)[:100]} is not PROJECT or PROJECT==VERSION", hint="for example --probe flask==3.0.2"
        ) from problem


@dataclass(slots=True, kw_only=True)
class Patient:
    """An index under examination.

    ``fault`` says why its URL or path can be none of an index, ``no_keys`` why its credentials cannot be had; with
    either there is no ``way`` to it. ``seen`` has an answer for each probe that was asked.
    """

    spec: IndexSpec
    name: str
    role: Role
    kind: str
    url: str
    built_only: bool
    way: Way | None = None
    keys: Credentials | None = None
    fault: CgscanError | None = None
    no_keys: CgscanError | None = None
    seen: dict[Probe, Seen] = field(default_factory=dict)

    @property
    def is_remote(self) -> bool:
        """Whether it is behind a URL."""
        return self.kind in REMOTE

    @property
    def answered(self) -> bool:
        """Whether it gave the files of any probe, or said of any that it has none."""
        return any(one.failure is None for one in self.seen.values())

    @property
    def answered_all(self) -> bool:
        """Whether it answered every probe."""
        return bool(self.seen) and all(one.failure is None for one in self.seen.values())

    def files(self, probe: Probe) -> tuple[IndexFile, ...]:
        """What it lists of a probe, of the version that is meant."""
        seen = self.seen.get(probe)
        files = seen.files if seen else ()
        if probe.version is None:
            return files
        return tuple(file for file in files if file.wheel is not None and file.wheel.version == probe.version)

    def all_files(self) -> tuple[IndexFile, ...]:
        """What it lists of all probes."""
        return tuple(file for probe in self.seen for file in self.files(probe))

    def ask(self, probes: Sequence[Probe]) -> None:
        """Ask for the probes; no further where the first answer is one to all questions."""
        for probe in probes if self.way is not None else ():
            assert self.way is not None
            seen = self.seen[probe] = self.way.page(probe.project)
            if self.is_remote and (seen.status in _LAST or (seen.status is None and len(self.seen) == 1)):
                return


def patients_of(specs: Sequence[IndexSpec], *, client: Client, limits: Limits) -> list[Patient]:
    """Nothing is asked yet. A snapshot is as many as it was pulled from; each has a name of its own."""
    found: list[Patient] = []
    for spec in specs:
        for one in _opened(spec, client, limits):
            if one.name in {other.name for other in found}:
                one.name = f"{one.name} ({one.role.value} {len(found) + 1})"
            found.append(one)
    return found


def _opened(spec: IndexSpec, client: Client, limits: Limits) -> list[Patient]:
    where = shown(spec.location)
    try:
        kind = spec.kind or kind_of(spec.location)
        if kind in REMOTE:
            return [_remote(spec, kind, client, limits)]
        return _in_place(spec, kind, client, limits)
    except CgscanError as problem:
        one = _patient(spec, spec.kind or "unknown", where)
        one.fault = problem
        return [one]


def _remote(spec: IndexSpec, kind: str, client: Client, limits: Limits) -> Patient:
    base = simple_url(spec.location, kind)
    one = _patient(spec, kind, shown(base))
    try:
        keys = Keyring(spec)
        one.keys = None if client.offline else keys.of(base)  # who keeps them may be asked for them
    except CgscanError as problem:
        one.no_keys = problem
    else:
        one.way = OverHttp(base, keys, client=client, limits=limits)
    return one


def _in_place(spec: IndexSpec, kind: str, client: Client, limits: Limits) -> list[Patient]:
    if kind == "snapshot":
        from scanner.indexes.snapshot import open_snapshot  # noqa: PLC0415 - few have one

        found: list[Patient] = []
        for part in open_snapshot(spec, limits=limits):
            one = _patient(spec, kind, part.url)
            one.name, one.role, one.built_only = part.name, part.role, part.built_only
            one.way = InPlace(part, whole=False)
            found.append(one)
        return found
    index = open_index(spec, client=client, store=NoStore(), limits=limits)
    one = _patient(spec, kind, index.url)
    one.way = InPlace(index, whole=True)
    return [one]


def _patient(spec: IndexSpec, kind: str, url: str) -> Patient:
    name = spec.name or url.partition("://")[2].removesuffix("/").removesuffix("/simple") or url
    return Patient(spec=spec, name=name, role=spec.role, kind=kind, url=url, built_only=spec.built_only)
