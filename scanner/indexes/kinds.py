"""Which kind an index is of, and the URL that its pages stand below.

Told by the URL where it can be; self-hosted managers by the path that they always have. What people copy from a
browser or leave off is mended where only one thing can be meant; else the error says the right form.

=============  ====================================================  ==========================================
kind           told by                                               form
=============  ====================================================  ==========================================
chainguard     the host ``libraries.cgr.dev``                        ``/python/simple/``
google         a host ``….pkg.dev``                                  ``/PROJECT/REPOSITORY/simple/``
cloudsmith     the host ``dl.cloudsmith.io``                         ``/basic/OWNER/REPOSITORY/python/simple/``
artifactory    ``…/api/pypi/…``, ``/artifactory/…``, ``….jfrog.io``  ``/artifactory/api/pypi/REPOSITORY/simple/``
nexus          ``…/repository/NAME``, or that and ``/simple``        ``/repository/NAME/simple/``
simple         nothing of these                                      as it stands
directory      a folder, a ``file://`` URL
snapshot       a file
=============  ====================================================  ==========================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from scanner.errors import UsageError
from scanner.indexes import chainguard
from scanner.indexes.credentials import shown
from scanner.indexes.tier import CHAINGUARD_HOST

REMOTE: Final = ("simple", "artifactory", "nexus", "cloudsmith", "google", "chainguard")
"""Kinds behind a URL."""
KINDS: Final = (*REMOTE, "directory", "snapshot")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FORMS: Final[Mapping[str, str]] = {
    "artifactory": "https://HOST/artifactory/api/pypi/REPOSITORY/simple",
    "nexus": "https://HOST/repository/NAME/simple",
    "cloudsmith": "https://dl.cloudsmith.io/basic/OWNER/REPOSITORY/python/simple",
    "google": "https://LOCATION-python.pkg.dev/PROJECT/REPOSITORY/simple",
    "chainguard": f"https://{CHAINGUARD_HOST}/python/simple",
}
_PAGES_FOR_PEOPLE: Final[Mapping[str, str]] = {
    "cloudsmith.io": "cloudsmith",
    "app.cloudsmith.com": "cloudsmith",
    "console.cloud.google.com": "google",
    "console.chainguard.dev": "chainguard",
}


def kind_of(location: str) -> str:
    """The kind of the index at a URL, folder or file; :class:`UsageError` for what can be none."""
    if location.lower().startswith(("http://", "https://")):
        return _kind_of_url(_split(location))
    path = local_path(location)
    if path.is_file():
        return "snapshot"
    if location.startswith("file:") or path.is_dir():
        return "directory"
    raise UsageError(
        f"{shown(location)}: neither the URL of an index nor a folder nor a snapshot",
        hint="URLs start with https:// and end with /simple for most products",
    )


def local_path(location: str) -> Path:
    """The path of a folder or file, which may be given as a ``file://`` URL."""
    return Path(unquote(_split(location).path)) if location.startswith("file:") else Path(location)


def simple_url(location: str, kind: str) -> str:
    """The URL below which an index of that kind has its projects, with a slash at its end.

    User and password stay in it. Raises :class:`UsageError` where it cannot be told, with the form as the hint.
    """
    parts = _split(location)
    form = _FORMS.get(kind)
    if (parts.query and not _is_ui(_segments(parts))) or (parts.fragment and not form):
        hint = f"its form is {form}" if form else None
        raise UsageError(f"{shown(location)}: the URL of an index has no query and no fragment", hint=hint)
    host = (parts.hostname or "").lower()
    if host in _PAGES_FOR_PEOPLE:
        raise _page_for_people(location, _FORMS[_PAGES_FOR_PEOPLE[host]])
    mend = _MENDED.get(kind)
    if mend is None:
        return _joined(parts, parts.path.split("/")[1:])
    return mend(location, parts)


def artifactory_place(url: str) -> tuple[str, str] | None:
    """The root of Artifactory's interface and the repository that a simple URL names; None where it names none."""
    parts = _split(url)
    segments = _segments(parts)
    length = _artifactory_length(segments)
    if not length:
        return None
    root = segments[: length - 3] if segments[length - 3 : length - 1] == ["api", "pypi"] else segments[: length - 1]
    return _root(parts, root), unquote(segments[length - 1])


def nexus_place(url: str) -> tuple[str, str] | None:
    """The root of Nexus and the repository that a simple URL names; None where it names none."""
    parts = _split(url)
    segments = _segments(parts)
    if len(segments) < 2 or "repository" not in segments[:-1]:
        return None
    at = segments.index("repository")
    return _root(parts, segments[:at]), unquote(segments[at + 1])


def _kind_of_url(parts: SplitResult) -> str:
    host, segments = (parts.hostname or "").lower(), _segments(parts)
    if host.endswith(".pkg.dev"):
        return "google"
    if _is_artifactory(host, segments):
        return "artifactory"
    if _is_nexus(parts.fragment, segments):
        return "nexus"
    return {CHAINGUARD_HOST: "chainguard", "dl.cloudsmith.io": "cloudsmith", **_PAGES_FOR_PEOPLE}.get(host, "simple")


def _is_artifactory(host: str, segments: Sequence[str]) -> bool:
    if _is_ui(segments) or segments[:1] == ["artifactory"] or host.endswith(".jfrog.io"):
        return True
    return ("api", "pypi") in pairwise(segments)


def _is_ui(segments: Sequence[str]) -> bool:
    """The pages of Artifactory that people look at."""
    return len(segments) > 1 and segments[0] == "ui" and segments[1] in ("repos", "native", "packages")


def _is_nexus(fragment: str, segments: Sequence[str]) -> bool:
    """Only what is the repository or its index: other servers too have a folder called ``repository``."""
    if fragment.startswith(("browse/", "admin/repository")) or ("service", "rest") in pairwise(segments):
        return True
    end = segments[:-1] if segments[-1:] == ["simple"] else segments
    return len(end) > 1 and end[-2] == "repository"


# -- the URL of each kind ----------------------------------------------------------------------------


def _artifactory(location: str, parts: SplitResult) -> str:
    """Without ``/simple`` it is put there; ``/artifactory/NAME`` becomes the interface for Python."""
    segments = _segments(parts)
    known = artifactory_place(location)
    if _is_ui(segments) or "webapp" in segments or parts.fragment:
        name = _last_name([*segments, *parts.fragment.split("/")], ("General", "native"))
        raise _page_for_people(location, f"https://{parts.hostname}/artifactory/api/pypi/{name or 'REPOSITORY'}/simple")
    if known is None:
        if segments[-1:] == ["simple"] and "artifactory" not in segments and "api" not in segments:
            return _joined(parts, segments)  # behind a name of its own; nothing but pages can be asked there
        raise _no_repository(location, "artifactory")
    length = _artifactory_length(segments)
    if segments[length:] == [] and length == 2:
        return _joined(parts, [segments[0], "api", "pypi", segments[1], "simple"])
    return _with_simple(location, parts, segments, length)


def _nexus(location: str, parts: SplitResult) -> str:
    """Without ``/simple`` it is put there."""
    segments = _segments(parts)
    if parts.fragment or ("service" in segments and "rest" in segments):
        said = [*segments, *parts.fragment.replace(":", "/").split("/")]
        name = _last_name(said, ("browse",))
        raise _page_for_people(location, f"https://{parts.hostname}/repository/{name or 'NAME'}/simple")
    if nexus_place(location) is None:
        if segments[-1:] == ["simple"]:
            return _joined(parts, segments)
        raise _no_repository(location, "nexus")
    return _with_simple(location, parts, segments, segments.index("repository") + 2)


def _chainguard(location: str, parts: SplitResult) -> str:
    segments = _segments(parts)
    if len(segments) == 1 and segments != ["simple"]:
        segments.append("simple")
    if len(segments) != 2 or segments[1] != "simple":
        raise _no_repository(location, "chainguard")
    chainguard.index_of(location)
    return _joined(parts, segments)


def _google(location: str, parts: SplitResult) -> str:
    segments = _segments(parts)
    if len(segments) == 2:
        segments.append("simple")
    if len(segments) != 3 or segments[2] != "simple":
        raise _no_repository(location, "google")
    return _joined(parts, segments)


def _cloudsmith(location: str, parts: SplitResult) -> str:
    """On a domain of one's own the path is another one, so there only ``/simple`` is asked for."""
    segments = _segments(parts)
    if segments[-1:] == ["python"]:
        segments.append("simple")
    if segments[-1:] != ["simple"]:
        raise _no_repository(location, "cloudsmith")
    return _joined(parts, segments)


_MENDED: Final[Mapping[str, Callable[[str, SplitResult], str]]] = {
    "artifactory": _artifactory,
    "nexus": _nexus,
    "chainguard": _chainguard,
    "google": _google,
    "cloudsmith": _cloudsmith,
}


def _split(location: str) -> SplitResult:
    try:
        return urlsplit(location)
    except ValueError as problem:
        raise UsageError(f"not a URL: {shown(location)[:300]}") from problem


def _segments(parts: SplitResult) -> list[str]:
    return [segment for segment in parts.path.split("/") if segment]


def _root(parts: SplitResult, segments: Sequence[str]) -> str:
    """Without user and password, without a slash at its end."""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "/".join(["", *segments]), "", ""))


def _joined(parts: SplitResult, segments: Sequence[str]) -> str:
    path = "/".join(["", *segments])
    return urlunsplit((parts.scheme, parts.netloc, path if path.endswith("/") else f"{path}/", "", ""))


def _artifactory_length(segments: Sequence[str]) -> int:
    """How many segments name the repository: ``…/api/pypi/NAME`` or ``artifactory/NAME``; 0 if they do not."""
    for at, pair in enumerate(pairwise(segments[:-1])):
        if pair == ("api", "pypi"):
            return at + 3
    return 2 if len(segments) > 1 and segments[0] == "artifactory" and segments[1] not in ("api", "webapp") else 0


def _with_simple(location: str, parts: SplitResult, segments: Sequence[str], length: int) -> str:
    """The repository and ``/simple``, or what ends so below it; a project's page or a file is no index."""
    if segments[length:] and segments[-1] != "simple":
        right = shown(_joined(parts, [*segments[:length], "simple"])).removesuffix("/")
        raise UsageError(
            f"{shown(location)}: a place below an index, not the index itself", hint=f"the index is {right}"
        )
    return _joined(parts, segments if segments[length:] else [*segments, "simple"])


def _last_name(segments: Sequence[str], markers: Sequence[str]) -> str | None:
    """The segment behind the last marker, where it can be a repository's name."""
    places = [at for at, segment in enumerate(segments[:-1]) if segment in markers]
    name = segments[places[-1] + 1] if places else ""
    return name if _NAME.fullmatch(name) else None


def _page_for_people(location: str, form: str) -> UsageError:
    return UsageError(f"{shown(location)}: a page for people, no index", hint=f"the index is {form}")


def _no_repository(location: str, kind: str) -> UsageError:
    return UsageError(
        f"{shown(location)}: not the URL of an index of the kind {kind}", hint=f"its form is {_FORMS[kind]}"
    )
