"""Deleting single entries of the caches of pip, uv, Poetry and PDM, on this machine.

In reading order::

    forms       which form of an entry a path is, by the tool's layout; what is none is not touched
    places      folders below a store's root, opened without following a link
    locks       the locks of the tools themselves
    files       an artifact or an answer in a file of its own, and what the tool keeps beside it
    unpacked    wheels that lie unpacked: uv's archives, PDM's packages
    answers     hishel's database of answers (PDM)

Nothing is deleted by a tool's own command: ``uv cache clean`` takes all of a project, follows links out of a copied
cache, and ``pip cache remove`` takes whatever its pattern matches and no downloads. What is done here is what those
commands do for one entry, in their order and under their locks; ``docs/purge.md`` says it for each tool.

A deletion that was killed goes on when it is asked for again: what belongs to an entry goes before it, and a folder
is renamed before it is emptied.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from scanner.errors import NotDeleted
from scanner.manager import Deleted
from scanner.toolstores import answers, files, unpacked
from scanner.toolstores.forms import Form, form_of
from scanner.toolstores.places import Gone, Place

if TYPE_CHECKING:
    from scanner.limits import Limits
    from scanner.stale import LocalCopy

__all__ = ["delete", "written"]


def delete(copy: LocalCopy, *, planned: dt.datetime | None, limits: Limits) -> Deleted:
    """Delete one entry, after reading again that it is what was planned.

    ``planned`` is when the plan was made: an unpacked entry that came later is another one.
    Raises :class:`scanner.errors.NotDeleted` where the entry is none, in use, or the system refuses.
    """
    form = form_of(copy)
    try:
        with Place.of(copy.root) as root, root.below(form.store) as store:
            match form.kind:
                case "unpacked":
                    return unpacked.delete(store, form, copy, planned)
                case "row":
                    return answers.delete(store, form, copy, limits)
                case _:
                    return files.delete(store, form, copy, planned, limits)
    except Gone:
        return Deleted.ALREADY_GONE
    except OSError as problem:
        raise NotDeleted(f"{copy.path}: not deleted: {problem.strerror or problem}") from problem


def written(copy: LocalCopy) -> dt.datetime | None:
    """When the entry was written, as its file or folder says; None where that cannot be read."""
    try:
        form: Form = form_of(copy)
        with Place.of(copy.root) as root, root.below(form.store) as store, store.below(form.folder) as folder:
            status = folder.status(form.name)
    except (OSError, NotDeleted):
        return None
    return dt.datetime.fromtimestamp(status.st_mtime, dt.UTC) if status else None
