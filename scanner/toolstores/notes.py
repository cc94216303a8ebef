"""What the tools note of an artifact elsewhere in their caches, and would go on believing after it is gone.

* Poetry keeps what an index said of a release, sha256 and all, for ever: a new lock file would get the old hashes.
* PDM keeps the sha256 of every URL that it has locked.

A note is found by the name that the tool gives it, which is a hash, and holds nothing that cannot be asked again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from scanner.toolstores.forms import Form
from scanner.toolstores.places import Gone, Place

if TYPE_CHECKING:
    from scanner.stale import LocalCopy

_REPOSITORIES: Final = "cache/repositories"


def forget(store: Place, form: Form, copy: LocalCopy, url: str | None) -> None:
    """Remove the notes of Poetry and PDM on an artifact; ``url`` is where it came from, if that is known."""
    paths = {"poetry": _of_poetry(store, copy), "pdm": _of_pdm(url)}.get(form.tool, iter(()))
    for path in paths:
        folder, _, name = path.rpartition("/")
        with suppress(Gone), store.below(folder) as place:
            place.unlink(name)


def _of_poetry(store: Place, copy: LocalCopy) -> Iterator[str]:
    """``FileCache`` of Poetry: the sha256 of ``project:version``, its first eight bytes as folders."""
    if copy.version is None:
        return
    digest = hashlib.sha256(f"{copy.project}:{copy.version}".encode()).hexdigest()
    above = "/".join(digest[at : at + 2] for at in range(0, 16, 2))
    with suppress(Gone), store.below(_REPOSITORIES) as repositories:
        yield from (f"{_REPOSITORIES}/{name}/{above}/{digest}" for name in repositories.names())


def _of_pdm(url: str | None) -> Iterator[str]:
    """``HashCache`` of PDM: the sha224 of the URL, its first four bytes as folders."""
    if url is not None:
        digest = hashlib.sha224(url.encode()).hexdigest()
        yield f"hashes/{digest[:2]}/{digest[2:4]}/{digest[4:6]}/{digest[6:8]}/{digest[8:]}"
