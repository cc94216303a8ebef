"""The Python repositories of a manager, found from its own list, and an index for each that is of use.

Asked is what a person named: an index of the configuration, an index's URL, or where the manager itself is. Credentials
are those of that index or URL, or of a configured index on the same host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

from scanner.checkup import Behind, Discovered, Discovery, Proposal
from scanner.doctor.behind import behind, is_wrong_order, known_to, sources_of
from scanner.errors import CgscanError, IndexUnavailable, UsageError
from scanner.index import IndexSpec, Role
from scanner.indexes.credentials import Origin, shown
from scanner.indexes.kinds import REMOTE, artifactory_place, kind_of, nexus_place, simple_url
from scanner.manager import Holds, Repository
from scanner.managers import open_manager

if TYPE_CHECKING:
    from scanner.http import Client
    from scanner.limits import Limits

_MANAGED: Final = ("artifactory", "nexus", "cloudsmith", "google")
_BELOW: Final = ("ui", "webapp", "service", "api", "repository")
"""Where the pages and interfaces of a manager begin."""
_ANY: Final = "any-repository"
"""Stands for a repository's name where only the manager is meant."""
_BUILT_ONLY: Final = re.compile(r"/(?:python-remediated|cu\d{3})(?:/|$)")
_VARIABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "artifactory": {"token_env": "ARTIFACTORY_TOKEN"},
    "nexus": {"username_env": "NEXUS_USER", "password_env": "NEXUS_PASSWORD"},
    "cloudsmith": {"username_env": "CLOUDSMITH_USER", "password_env": "CLOUDSMITH_API_KEY"},
    "google": {"username_env": "GOOGLE_ARTIFACTS_USER", "password_env": "GOOGLE_ARTIFACTS_TOKEN"},
}
"""What the pages of the documentation use."""


def discover(named: str | None, specs: Sequence[IndexSpec], *, client: Client, limits: Limits) -> tuple[Discovery, ...]:
    """The managers behind a URL or a configured index, or, where none is named, behind all configured indexes.

    Raises :class:`scanner.errors.CgscanError` where a manager cannot be found or asked.
    """
    if named:
        return (_discovered(_candidates(named, specs), client, limits),)
    found: dict[tuple[str, str], list[IndexSpec]] = {}
    for spec in specs:
        kind = spec.kind or kind_of(spec.location)
        if kind in _MANAGED:
            found.setdefault((kind, _root(spec, kind)), [replace(spec, kind=kind)])
    if not found:
        raise UsageError(
            "no repository manager to ask: none of the configured indexes has one",
            hint="name it: cgscan doctor --discover https://HOST/artifactory, or https://HOST for Nexus",
        )
    return tuple(_discovered(some, client, limits) for some in found.values())


def _discovered(candidates: Sequence[IndexSpec], client: Client, limits: Limits) -> Discovery:
    """The first of the candidates that is there; an error says what each answered."""
    problems: list[CgscanError] = []
    for spec in candidates:
        try:
            manager = open_manager(spec, client=client, limits=limits)
            assert manager is not None
            known = known_to(manager)
            own = [one for one in manager.repositories() if one.name != _ANY]
        except CgscanError as problem:
            problems.append(problem)
            if isinstance(problem, IndexUnavailable) and problem.whole:
                break
        else:
            return _discovery(spec, own, known)
    if len(problems) == 1:
        raise problems[0]
    said = "; ".join(problem.message for problem in problems)
    raise CgscanError(f"no repository manager answers there: {said}"[:1000], hint=problems[-1].hint)


# -- where to ask


def _candidates(named: str, specs: Sequence[IndexSpec]) -> list[IndexSpec]:
    """The managers that may be meant by a name or URL, the likeliest first."""
    spec = next((one for one in specs if one.name == named), None)
    if spec is None and not named.lower().startswith(("http://", "https://")):
        raise UsageError(
            f"--discover: {shown(named)[:100]!r} is neither a URL nor an index of the configuration",
            hint="write https://HOST/artifactory, or https://HOST for Nexus, or the name of an index",
        )
    if spec is not None:
        kind = spec.kind or kind_of(spec.location)
        if kind not in _MANAGED:
            raise UsageError(f"--discover: {named} is of the kind {kind}, which has no list of repositories")
        return [replace(spec, kind=kind)]
    return [_with_keys(one, specs) for one in _by_url(named)]


def _by_url(url: str) -> list[IndexSpec]:
    """An index's URL as it is; else that of the manager, with a stand-in for a repository."""
    kind = kind_of(url)
    if kind in _MANAGED:
        try:
            return [_spec(simple_url(url, kind), kind)]
        except UsageError:
            pass  # no index: where the manager itself is, or a page of its own for people
    if kind in REMOTE and kind not in (*_MANAGED, "simple"):
        raise UsageError(f"--discover: {shown(url)} has no list of repositories")
    parts = urlsplit(url)
    segments = (segment for segment in parts.path.split("/") if segment)
    root = list(takewhile(lambda segment: segment not in _BELOW, segments))
    return [_spec(_joined(url, path), kind) for path, kind in _forms(kind, parts.hostname or "", root)]


def _forms(kind: str, host: str, root: list[str]) -> Iterator[tuple[list[str], str]]:
    if kind == "google":
        yield [*root[:1], _ANY, "simple"], kind
    elif kind == "cloudsmith":
        owner = root[1:2] if root[:1] in (["basic"], ["public"]) else root[:1]
        yield ["basic", *owner, _ANY, "python", "simple"], kind
    else:
        if kind != "nexus":
            before = root if root[-1:] == ["artifactory"] else [*root, "artifactory"]
            yield [*before, "api", "pypi", _ANY, "simple"], "artifactory"
        if kind != "artifactory" and not host.endswith(".jfrog.io"):
            yield [*root, "repository", _ANY, "simple"], "nexus"


def _joined(url: str, segments: Sequence[str]) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, "/".join(["", *segments, ""]), "", ""))


def _spec(location: str, kind: str) -> IndexSpec:
    return IndexSpec(location=location, role=Role.CHAINGUARD, kind=kind)


def _with_keys(spec: IndexSpec, specs: Sequence[IndexSpec]) -> IndexSpec:
    """With the credentials of a configured index on the same host, unless the URL has its own."""
    origin = Origin.of(spec.location)
    if "@" in urlsplit(spec.location).netloc:
        return spec
    other = next((one for one in specs if "://" in one.location and Origin.of(one.location) == origin), None)
    if other is None:
        return spec
    place = urlsplit(spec.location)
    location = urlunsplit((place.scheme, urlsplit(other.location).netloc, place.path, "", ""))
    return replace(spec, location=location, **_keys(other))


# -- what was found


def _discovery(spec: IndexSpec, own: Sequence[Repository], known: Mapping[str, Repository]) -> Discovery:
    kind = spec.kind or kind_of(spec.location)
    url = _URLS[kind](simple_url(spec.location, kind))
    found = tuple(_described(one, known, url(one.name)) for one in own)
    names: set[str] = set()
    proposals = tuple(
        Proposal(
            name=_fresh_name(one.repository.name, names),
            role=Role.CHAINGUARD if one.behind is not Behind.PYPI else Role.UPSTREAM,
            kind=kind,
            url=one.url,
            built_only=bool(_BUILT_ONLY.search(urlsplit(one.repository.remote or "").path)),
            credentials=_variables(spec, kind),
        )
        for one in sorted(found, key=lambda one: one.behind is Behind.PYPI)
        if _is_of_use(one, found, kind)
    )
    return Discovery(kind=kind, where=shown(_root(spec, kind)), repositories=found, proposals=proposals)


def _is_of_use(one: Discovered, found: Sequence[Discovered], kind: str) -> bool:
    """Proxies of Chainguard and PyPI; a repository that mixes them only where nothing better can be had."""
    if one.behind in (Behind.CHAINGUARD, Behind.PYPI):
        return True
    alone = any(other.behind is Behind.CHAINGUARD for other in found)
    return kind == "cloudsmith" and not alone and Behind.CHAINGUARD in [what for _, what in one.sources]


def _described(one: Repository, known: Mapping[str, Repository], url: str) -> Discovered:
    what = behind(one)
    sources = sources_of(one, known) if one.holds is Holds.GROUP else ()
    remark = ""
    if what is Behind.MIXED and not sources:
        remark = "its members are told to administrators only"
    elif is_wrong_order(sources):
        remark = "PyPI is asked before Chainguard: move Chainguard's up"
    elif one.holds is Holds.GROUP and Behind.CHAINGUARD in [what for _, what in sources]:
        remark = "name the proxy of Chainguard alone: it proves more"
    return Discovered(repository=one, behind=what, url=url, sources=sources, remark=remark)


def _fresh_name(name: str, taken: set[str]) -> str:
    """A name that the configuration takes and no other proposal has."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", name).lstrip("._-")[:60] or "index"
    fresh = next(
        one for number in range(1, 1000) if (one := plain if number == 1 else f"{plain}-{number}") not in taken
    )
    taken.add(fresh)
    return fresh


def _keys(spec: IndexSpec) -> dict[str, Any]:
    """What an index says of where its credentials are, by the keys of the file."""
    names = (one.name for one in fields(spec) if one.name.endswith("_env") or one.name in ("keyring", "helper"))
    return {name: value for name in names if (value := getattr(spec, name))}


def _variables(spec: IndexSpec, kind: str) -> Mapping[str, object]:
    """The names that the asked index has; what a URL held goes into those of the documentation. netrc needs none."""
    return _keys(spec) or (_VARIABLES[kind] if "@" in urlsplit(spec.location).netloc else {})


def _root(spec: IndexSpec, kind: str) -> str:
    url = simple_url(spec.location, kind)
    place = {"artifactory": artifactory_place, "nexus": nexus_place}.get(kind)
    found = place(url) if place is not None else None
    return found[0] if found else url.partition("/simple")[0].rpartition("/")[0]


def _artifactory_url(url: str) -> Callable[[str], str]:
    place = artifactory_place(url)
    assert place is not None
    return lambda name: f"{place[0]}/api/pypi/{quote(name, safe='')}/simple/"


def _nexus_url(url: str) -> Callable[[str], str]:
    place = nexus_place(url)
    assert place is not None
    return lambda name: f"{place[0]}/repository/{quote(name, safe='')}/simple/"


def _google_url(url: str) -> Callable[[str], str]:
    parts = urlsplit(shown(url))
    project = parts.path.split("/")[1]
    return lambda name: f"{parts.scheme}://{parts.netloc}/{project}/{quote(name, safe='')}/simple/"


def _cloudsmith_url(url: str) -> Callable[[str], str]:
    parts = urlsplit(url)
    owner = parts.path.split("/")[2]
    return lambda name: f"https://{parts.hostname}/basic/{owner}/{quote(name, safe='')}/python/simple/"


_URLS: Final[Mapping[str, Callable[[str], Callable[[str], str]]]] = {
    "artifactory": _artifactory_url,
    "nexus": _nexus_url,
    "google": _google_url,
    "cloudsmith": _cloudsmith_url,
}
