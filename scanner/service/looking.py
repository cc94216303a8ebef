"""What a registry has of what is to be walked through, and what of it is not known. Nothing is written here.

A tag is asked for the digest that it means, with one HEAD; what has a report of that digest is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from scanner.digest import Digest
from scanner.reference import ImageName
from scanner.results.crawls import known_repositories, known_tags, unknown
from scanner.results.database import Database, clock
from scanner.serving import Crawl
from scanner.sources.catalog import Catalog, Listed

_ATTACHED: Final = re.compile(r"sha(256|384|512)-[0-9a-f]{32,128}(\..+)?")
"""Tags of what is attached to images: signatures, attestations, reports."""
_NUMBER: Final = re.compile(r"([0-9]+)")
_AT_ONCE: Final = 50
"""Tags that are asked for before what is new of them is queued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some tags of a repository, ``asked`` for since then: how many images they are, which of them are not known, and
    tags that are not there any more.
    """

    asked: float
    images: int
    new: tuple[ImageName, ...]
    gone: tuple[str, ...]


class Looking:
    """Looks through one registry. ``left`` is why there may be more than what was found."""

    def __init__(self, catalog: Catalog, crawl: Crawl, database: Database, terms: str) -> None:
        self._catalog = catalog
        self._crawl = crawl
        self._database = database
        self._terms = terms
        self.left: str | None = None

    def repositories(self) -> list[str]:
        """The repositories in order, with those that are known, which may be gone."""
        crawl = self._crawl
        listed = Listed(names=tuple(name for name in crawl.repositories if crawl.wants(name)))
        if not crawl.repositories:
            listed = self._catalog.repositories(most=crawl.most_repositories, wanted=crawl.wants)
            self._leave("repositories (most_repositories)", listed)
        with self._database.reading() as connection:
            known = known_repositories(connection, crawl.registry)
        named = crawl.repositories or known
        return sorted({*listed.names, *(name for name in known if name in named and crawl.wants(name))})

    def parts(self, repository: str, *, most: int) -> Iterator[Part]:
        """A repository's tags, ``most`` images of them."""
        place = (self._crawl.registry, repository)
        listed = self._catalog.tags(repository, most=self._crawl.most_tags) or Listed(names=())
        self._leave(f"tags of {repository} (most_tags)", listed)
        tags = chosen(listed.names, self._crawl)
        if len(tags) > most:
            self.left = f"there are more than {self._crawl.most_images} images (most_images)"
        with self._database.reading() as connection:
            missing = sorted(set(known_tags(connection, *place)) - set(listed.names))
        tags = [*tags[:most], *missing]
        for start in range(0, len(tags), _AT_ONCE):
            yield self._part(place, tags[start : start + _AT_ONCE])

    def _part(self, place: tuple[str, str], tags: Sequence[str]) -> Part:
        with self._database.reading() as connection:
            asked = clock(connection)
        found = {tag: self._catalog.digest(place[1], tag) for tag in tags}
        digests = {tag: str(digest) for tag, digest in found.items() if digest and self._crawl.wants_tag(tag)}
        with self._database.reading() as connection:
            new = unknown(connection, place, digests, self._terms, now=clock(connection))
        return Part(
            asked=asked,
            images=len(digests),
            new=tuple(_image(place, tag, digests[tag]) for tag in new),
            gone=tuple(tag for tag, digest in found.items() if digest is None),
        )

    def _leave(self, what: str, listed: Listed) -> None:
        if listed.left is not None:
            self.left = f"{what}: {listed.left}"


def _image(place: tuple[str, str], tag: str, digest: str) -> ImageName:
    return ImageName(host=place[0], repository=place[1], tag=tag, digest=Digest.parse(digest))


def chosen(tags: Sequence[str], crawl: Crawl) -> list[str]:
    """The tags that count. Of numbered ones the newest by their numbers; others (``latest``) count in any case."""
    wanted = [tag for tag in tags if not _ATTACHED.fullmatch(tag) and crawl.wants_tag(tag)]
    if crawl.newest is None:
        return wanted
    numbered = sorted((tag for tag in wanted if _NUMBER.search(tag)), key=_by_numbers, reverse=True)
    kept = set(numbered[: crawl.newest])
    return [tag for tag in wanted if tag in kept or not _NUMBER.search(tag)]


def _by_numbers(tag: str) -> tuple[object, ...]:
    """``1.10`` after ``1.9``; ``v1.2`` and ``1.2`` together, ``1.2-rc1`` before ``1.2``."""
    plain, dash, suffix = tag.removeprefix("v").partition("-")
    return (_parts(plain), not dash, _parts(suffix))


def _parts(text: str) -> tuple[tuple[bool, int, str], ...]:
    return tuple(
        (part.isdigit(), int(part) if part.isdigit() else 0, "" if part.isdigit() else part)
        for part in _NUMBER.split(text)
        if part not in ("", ".")
    )
