"""What a repository manager says of the repository behind an index: what it fetches from, and in which order.

What a manager says is what its administrators wrote: it tells what is wrong, and proves no wheel to be anybody's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from scanner.checkup import Behind, Check, ok, untold, wrong
from scanner.errors import CgscanError
from scanner.index import Role
from scanner.indexes.tier import CHAINGUARD_HOST
from scanner.manager import Holds, Manager, Repository
from scanner.managers import open_manager

if TYPE_CHECKING:
    from scanner.doctor.patients import Patient
    from scanner.http import Client
    from scanner.limits import Limits

_PYPI: Final = frozenset({"pypi.org", "pypi.python.org", "files.pythonhosted.org"})
_ALONE: Final = "name the proxy alone: it proves more"
_DEEPEST: Final = 200
_MOST_STORED: Final = 1000
_TINY: Final = 2048
"""Bytes. The page of a redirect is smaller, and so is a wheel of a few lines: its digest tells."""
_MOST_SUSPECTS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the manager of an index tells. ``about`` is its repository; ``failure`` says why nothing is known.

    ``known`` has what members of groups are, by their names.
    """

    manager: Manager | None = None
    about: Repository | None = None
    known: Mapping[str, Repository] = field(default_factory=dict)
    failure: CgscanError | None = None

    @property
    def sources(self) -> tuple[tuple[str, Behind], ...]:
        """The repositories behind a group, each with what it fetches from, in the order in which they are asked."""
        return sources_of(self.about, self.known) if self.about is not None else ()


def surroundings(patient: Patient, *, client: Client, limits: Limits) -> Surroundings:
    """Ask the manager, if the kind of the index has one."""
    try:
        manager = open_manager(patient.spec, client=client, limits=limits)
        if manager is None:
            return Surroundings()
        known = known_to(manager)
    except CgscanError as problem:
        return Surroundings(failure=problem)
    name = manager.repository
    about = known.get(name) or known.get(name.removesuffix("-cache"))
    return Surroundings(manager=manager, about=about, known=known)


def known_to(manager: Manager) -> dict[str, Repository]:
    """The repositories of a manager by name. Cloudsmith's groups are of upstreams, which are no repositories."""
    from scanner.managers.cloudsmith import CloudsmithManager  # noqa: PLC0415 - few have it

    known = {one.name: one for one in manager.repositories()}
    if isinstance(manager, CloudsmithManager):
        for name in [name for name, one in known.items() if one.holds is Holds.GROUP]:
            for upstream in manager.upstreams(name):
                proxy = Repository(name=upstream.name, holds=Holds.PROXY, remote=upstream.url)
                known.setdefault(upstream.name, proxy)
    return known


def behind(repository: Repository) -> Behind:
    """What a repository fetches from, by its remote URL."""
    if repository.holds is Holds.GROUP:
        return Behind.MIXED
    if repository.remote is None:
        return Behind.NONE if repository.holds is Holds.HOSTED else Behind.OTHER
    host = (urlsplit(repository.remote).hostname or "").lower()
    if host == CHAINGUARD_HOST:
        return Behind.CHAINGUARD
    return Behind.PYPI if host in _PYPI else Behind.OTHER


def sources_of(group: Repository, known: Mapping[str, Repository]) -> tuple[tuple[str, Behind], ...]:
    """The members of a group, and of groups in it, in their order; each once."""
    found: dict[str, Behind] = {}
    ahead, seen = list(group.members), {group.name}
    while ahead and len(seen) < _DEEPEST:
        name = ahead.pop(0)
        if name in seen:
            continue
        seen.add(name)
        one = known.get(name)
        if one is not None and one.members:
            ahead = [*one.members, *ahead]
        else:
            found[name] = behind(one) if one is not None else Behind.OTHER
    return tuple(found.items())


def is_wrong_order(sources: Sequence[tuple[str, Behind]]) -> bool:
    """Whether PyPI is asked before Chainguard."""
    order = [what for _, what in sources]
    first = order.index(Behind.CHAINGUARD) if Behind.CHAINGUARD in order else len(order)
    return Behind.PYPI in order[:first]


def source(patient: Patient, seen: Surroundings) -> Check:
    """What the manager says that the repository fetches from."""
    name = "source"
    if seen.failure is not None:
        return untold(name, seen.failure.message, seen.failure.hint)
    if seen.about is None:
        return untold(name, f"{patient.kind} lists no Python repository of that name to these credentials")
    if behind(seen.about) is Behind.MIXED:
        return _of_group(name, patient, seen)
    return _of_one(name, patient, seen.about)


def _of_one(name: str, patient: Patient, about: Repository) -> Check:
    what = behind(about)
    if what is Behind.NONE:
        return untold(name, f"{about.name} is {about.holds.value}: it has what was uploaded")
    if what is Behind.OTHER:
        return untold(name, f"{about.name} fetches from {about.remote or 'what is not told'}: only its bytes tell")
    wanted = Behind.CHAINGUARD if patient.role is Role.CHAINGUARD else Behind.PYPI
    says = f"{about.name} fetches from {about.remote}"
    if what is wanted:
        return ok(name, says)
    return wrong(
        name,
        f"{says}, and the role of the index is {patient.role.value}",
        f"name a proxy of {wanted.value} for that role; cgscan doctor --discover lists them",
    )


def _of_group(name: str, patient: Patient, seen: Surroundings) -> Check:
    assert seen.about is not None
    says = f"{seen.about.name} is a group"
    if not seen.sources:
        return untold(name, f"{says}; its members are told to administrators only", _ALONE)
    what = {one for _, one in seen.sources}
    listed = f"{says} of {_in_order(seen.sources)}"
    if patient.role is Role.UPSTREAM and Behind.CHAINGUARD in what:
        return wrong(name, f"{listed}, and the role of the index is upstream", "name the proxy of PyPI alone")
    if patient.role is Role.CHAINGUARD and Behind.CHAINGUARD not in what:
        if Behind.OTHER in what:
            return untold(name, f"{listed}: none is a proxy of Chainguard by its URL")
        return wrong(name, f"{listed}: none is a proxy of Chainguard", "put one into it, or name one as --index")
    return ok(name, listed, _ALONE if len(what) > 1 else None)


def order(patient: Patient, seen: Surroundings) -> Check | None:
    """Is Chainguard asked before PyPI; None where it is no group of both."""
    name, what = "order", [one for _, one in seen.sources]
    if patient.role is not Role.CHAINGUARD or not {Behind.CHAINGUARD, Behind.PYPI} <= set(what):
        return None
    if not is_wrong_order(seen.sources):
        return ok(name, f"Chainguard before PyPI: {_in_order(seen.sources)}")
    return wrong(
        name,
        f"PyPI before Chainguard: {_in_order(seen.sources)}",
        "move the proxy of Chainguard up, before that of PyPI, and delete what was cached meanwhile",
    )


def _in_order(sources: Sequence[tuple[str, Behind]]) -> str:
    words = [f"{name} ({what.value})" if what is not Behind.NONE else name for name, what in sources[:8]]
    return ", ".join(words) + (f" and {len(sources) - 8} more" if len(sources) > 8 else "")


def stored(patient: Patient, seen: Surroundings) -> Check | None:
    """Do wheels that are stored have the bytes that pages promise; None without a list of what is stored.

    Only what is smaller than nearly every wheel is looked up: the page of a redirect is.
    """
    name = "stored"
    if seen.manager is None or seen.about is None or seen.about.holds is not Holds.PROXY or patient.way is None:
        return None
    try:
        rows = list(islice(seen.manager.retrieved(), _MOST_STORED))
    except CgscanError as problem:
        return untold(name, problem.message, problem.hint)
    wheels = [row for row in rows if row.filename.endswith(".whl")]
    suspects = [row for row in wheels if row.size is not None and row.size < _TINY and row.sha256 is not None]
    broken: list[str] = []
    for row in suspects[:_MOST_SUSPECTS]:
        page = patient.way.page(row.project)
        promised = {file.sha256 for file in page.files if file.filename == row.filename} - {None}
        if promised and row.sha256 not in promised:
            broken.append(f"{row.filename} ({row.size} bytes)")
    count = f"{len(wheels)}{' or more' if len(rows) == _MOST_STORED else ''} stored wheels"
    if broken:
        return wrong(
            name,
            f"of {count}, {len(broken)} are tiny and not what the page promises: {broken[0]}; pages of a redirect",
            "delete them in the repository manager, and have it follow redirects and send no HEAD requests",
        )
    return ok(name, f"{count}, none of which is the page of a redirect by its size and digest")
