"""What the path of a file says about where a Chainguard index has it from.

Source: the forms of file URLs that Chainguard documents or serves::

    https://libraries.cgr.dev/python/simple/<project>/<version>/<file>             built
    https://libraries.cgr.dev/python-remediated/simple/<project>/<version>/<file>  built
    https://libraries.cgr.dev/cu128/simple/<project>/<version>/<file>              built
    https://libraries.cgr.dev/files/<16 hex>/<16 hex>/<project>/<file>             built
    https://libraries.cgr.dev/python-upstream/simple/<project>/<version>/<file>    fallback

Artifactory keeps these paths behind the path of its repository when it is set up as Chainguard
recommends (the remote's URL is the host alone); Nexus, devpi, Cloudsmith and Google drop them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urlsplit

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from scanner.index import Tier
from scanner.wheel import WheelName

if TYPE_CHECKING:
    from collections.abc import Sequence

CHAINGUARD_HOST: Final = "libraries.cgr.dev"
_FALLBACK: Final = "python-upstream"
_BUILT = re.compile(r"python|python-remediated|cu\d{3}")
_HEX = re.compile(r"[0-9a-f]{16}")


class Tiers:
    """The tiers that URLs on the pages of one index name. ``base`` is the index's own simple URL.

    Careful in one direction: a segment ``python-upstream`` anywhere is the fallback; a built tier needs one of the
    sequences above in full, up to the file, with the file's own project and version in it. The sequence starts at
    the host's root (Chainguard's host), or behind the repository's path (Artifactory); so a repository that happens
    to be called ``python`` makes no file a built one. A link to another host names no built tier: where it leads is
    not what this index is asked for.
    """

    def __init__(self, base: str) -> None:
        own = urlsplit(base)
        self._origin = (own.scheme, own.netloc.rpartition("@")[2])
        self._is_chainguards = own.scheme == "https" and own.hostname == CHAINGUARD_HOST
        segments = _segments(own)
        self._repository = segments[: _repository_length(segments)]

    def of(self, url: str) -> Tier | None:
        """The tier that a file's URL names; None where it names none."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        segments = _segments(parts)
        if parts.scheme not in ("http", "https"):
            return None
        if any(segment.lower() == _FALLBACK for segment in segments):
            return Tier.FALLBACK
        if (parts.scheme, parts.netloc.rpartition("@")[2]) != self._origin:
            return None
        if self._is_chainguards:
            return Tier.BUILT if _is_built(segments) else None
        inside = self._in_repository(segments)
        return Tier.BUILT if any(_is_built(inside[at:]) for at in range(len(inside))) else None

    def may_name(self, url: str, *, own: bool) -> bool:
        """False for a URL without an escaped sign that names none for sure; ``own``: it is on the index's host."""
        return (own and (self._is_chainguards or bool(self._repository))) or _FALLBACK in url.lower()

    def _in_repository(self, segments: Sequence[str]) -> Sequence[str]:
        """The segments behind ``…/api/pypi/<repository>/`` or ``/artifactory/<repository>/`` of this index; or none."""
        length = len(self._repository)
        return segments[length:] if length and segments[:length] == self._repository else ()


def _segments(parts: SplitResult) -> list[str]:
    return [unquote(segment) for segment in parts.path.split("/") if segment]


def _repository_length(own: Sequence[str]) -> int:
    """How many leading segments of an index's path name its Artifactory repository; 0 if they do not."""
    for at in range(len(own) - 2):
        if own[at : at + 2] == ["api", "pypi"]:
            return at + 3
    return 2 if len(own) > 1 and own[0] == "artifactory" else 0


def _is_built(segments: Sequence[str]) -> bool:
    if len(segments) != 5:
        return False
    tier, middle, third, fourth, filename = segments
    if tier == "files":
        return bool(_HEX.fullmatch(middle) and _HEX.fullmatch(third)) and _is_of(filename, project=fourth)
    return bool(_BUILT.fullmatch(tier)) and middle == "simple" and _is_of(filename, project=third, version=fourth)


def _is_of(filename: str, *, project: str, version: str | None = None) -> bool:
    """Whether a wheel's name agrees with the segments before it."""
    wheel = WheelName.parse(filename)
    if wheel is None or canonicalize_name(project) != wheel.project:
        return False
    try:
        return version is None or Version(version) == wheel.version
    except InvalidVersion:
        return False
