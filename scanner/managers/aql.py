"""Artifactory's query language AQL: the files of one repository, page by page.

Source: JFrog's pages on AQL. What it does that is worth knowing:

* A query is plain text; the order of its parts is fixed.
* ``limit`` is applied before what the user may not read is taken out: a short page, even an empty one, need not be the
  last. So it goes on until two in a row are empty.
* ``range.total`` is the number of rows in the answer, no grand total.
* Fields of another domain (``stat.downloaded``) may be refused, or make the server disregard ``offset`` and ``limit``;
  then the list is asked for without them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from scanner.errors import IndexUnavailable
from scanner.managers.rest import Refused
from scanner.managers.rows import MOST_ROWS, mapping, rows_of, text

if TYPE_CHECKING:
    from scanner.managers.rest import Rest

_PAGE_SIZE: Final = 1000
_MOST_PAGES: Final = 5000
_FIELDS: Final = ("repo", "path", "name", "size", "created", "sha256", "actual_md5")
_STAT: Final = "stat.downloaded"
_PATTERNS: Final = ("*.whl", "*.tar.gz", "*.zip", "*.tar.bz2", "*.tar.xz", "*.tgz")


class StoredFiles:
    """The rows of one repository, page by page; a row may come twice. First with the times of downloads."""

    def __init__(self, rest: Rest, key: str) -> None:
        self._rest = rest
        self._key = key

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        try:
            yield from self._pages((*_FIELDS, _STAT))
        except _NotPaged:
            yield from self._pages(_FIELDS)
        except Refused as problem:
            if problem.status != 400:
                raise
            yield from self._pages(_FIELDS)

    def _pages(self, fields: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        seen: set[tuple[str, str, str]] = set()
        empty = 0
        for page in range(_MOST_PAGES):
            rows = self._page(fields, page * _PAGE_SIZE)
            fresh = [row for row in rows if place_of(row) not in seen]
            if rows and not fresh:
                raise _NotPaged(f"repository {self._key}: page {page + 1} repeats the ones before")
            seen.update(place_of(row) for row in fresh)
            yield from fresh
            empty = 0 if rows else empty + 1
            if empty == 2 or len(rows) > _PAGE_SIZE:  # more than were asked for: all there are
                return
            if len(seen) > MOST_ROWS:
                break
        raise IndexUnavailable(f"repository {self._key}: lists more than {MOST_ROWS} files, or too many pages")

    def _page(self, fields: Sequence[str], offset: int) -> list[Mapping[str, Any]]:
        where = f"files of {self._key} from {offset}"
        answer = mapping(self._rest.post("/api/search/aql", _query(self._key, fields, offset)).body, where)
        span = answer.get("range")
        if isinstance(span, dict) and span.get("notification"):
            raise IndexUnavailable(f"{where}: Artifactory has cut its answer at a limit of its own")
        return rows_of(answer.get("results"), where)


class _NotPaged(IndexUnavailable):
    """The server disregards ``offset``."""


def _query(key: str, fields: Sequence[str], offset: int) -> str:
    """A query in AQL; the order of its parts is fixed."""
    wanted = {"repo": key, "type": "file", "$or": [{"name": {"$match": pattern}} for pattern in _PATTERNS]}
    included = ",".join(json.dumps(field) for field in fields)
    order = '{"$asc":["path","name"]}'
    return f"items.find({json.dumps(wanted)}).include({included}).sort({order}).offset({offset}).limit({_PAGE_SIZE})"


def place_of(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Repository, folder and name; :class:`IndexUnavailable` where one is missing."""
    repo, path, name = (text(row, key) for key in ("repo", "path", "name"))
    if repo is None or path is None or name is None:
        raise IndexUnavailable("a file of Artifactory's has no repo, path or name")
    return repo, path, name
