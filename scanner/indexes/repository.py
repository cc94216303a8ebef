"""A repository by its name: where the configuration says the manager's address and the repository, not the index's URL.

===========  ==========================================  ======================  ==================================
kind         url                                         repository              the index
===========  ==========================================  ======================  ==================================
artifactory  ``https://HOST/artifactory``                ``NAME``                ``…/api/pypi/NAME/simple/``
nexus        ``https://HOST``                            ``NAME``                ``…/repository/NAME/simple/``
cloudsmith   ``https://dl.cloudsmith.io``                ``OWNER/NAME``          ``…/basic/OWNER/NAME/python/simple/``
google       ``https://LOCATION-python.pkg.dev``         ``PROJECT/NAME``        ``…/PROJECT/NAME/simple/``
chainguard   ``https://libraries.cgr.dev``               ``python``, ``cu128``   ``…/python/simple/``
===========  ==========================================  ======================  ==================================

A URL that names a repository already must name the same one. On a domain of one's own Cloudsmith's index does not tell
the repository; there the name is for the manager's interface alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from scanner.errors import UsageError
from scanner.indexes.kinds import simple_url

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._:-]*"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How a kind's URLs are made: ``before`` the repository, ``after`` it; ``root`` is put where there is no path.

    ``parts`` is of how many names a repository consists.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ("simple",)
    parts: int = 1
    root: tuple[str, ...] = ()


_FORMS: Final[Mapping[str, _Form]] = {
    "artifactory": _Form(before=("api", "pypi"), root=("artifactory",)),
    "nexus": _Form(before=("repository",)),
    "cloudsmith": _Form(before=("basic",), after=("python", "simple"), parts=2),
    "google": _Form(parts=2),
    "chainguard": _Form(),
}
WITH_REPOSITORIES: Final = tuple(_FORMS)
"""Kinds that have repositories with names."""
_CLOUDSMITH: Final = "dl.cloudsmith.io"


def repository_url(url: str, kind: str, repository: str) -> str:
    """The URL of the index of a repository; ``url`` is the manager's, or the index's own.

    Raises :class:`UsageError` where the two do not go together.
    """
    form = _FORMS.get(kind)
    if form is None:
        raise UsageError(
            f"an index of the kind {kind} has no repositories", hint=f"kind: {' or '.join(WITH_REPOSITORIES)}"
        )
    names = repository.split("/")
    if len(names) != form.parts or not all(re.fullmatch(_NAME, name) for name in names):
        raise UsageError(f"the repository of an index of the kind {kind} is named {_said(kind)}")
    try:
        whole = simple_url(url, kind)
    except UsageError:
        joined = _joined(urlsplit(url), names, form)
        if joined is None:
            raise
        return simple_url(joined, kind)
    _check_same(whole, kind, names, form)
    return whole


def _check_same(whole: str, kind: str, names: Sequence[str], form: _Form) -> None:
    """An index's own URL names the repository too, but for Cloudsmith's on a domain of one's own."""
    parts = urlsplit(whole)
    if kind == "cloudsmith" and (parts.hostname or "").lower() != _CLOUDSMITH:
        return
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    end = [*names, *form.after]
    if segments[-len(end) :] != end:
        raise UsageError(
            f"the URL does not name the repository {'/'.join(names)}",
            hint="write the address of the manager alone, or leave the repository out",
        )


def _joined(parts: SplitResult, names: Sequence[str], form: _Form) -> str | None:
    """The index below a manager's address; None where it is no such address."""
    if parts.query or parts.fragment:
        return None
    base = [segment for segment in parts.path.split("/") if segment] or list(form.root)
    if form.before and tuple(base[-len(form.before) :]) == form.before:
        base = base[: -len(form.before)]
    path = "/".join(["", *base, *form.before, *(quote(name) for name in names), *form.after, ""])
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _said(kind: str) -> str:
    return {"cloudsmith": "OWNER/REPOSITORY", "google": "PROJECT/REPOSITORY"}.get(kind, "by one name")
