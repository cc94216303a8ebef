"""Wheels that lie unpacked: uv's archives and PDM's packages.

The folder is renamed first, which no tool that looks for it survives seeing half of; then goes what leads to it, then
the folder. A renamed folder that is found later is a deletion that was killed, and is brought to its end.

Nobody keeps the sha256 of the wheel for sure. What is read again is: the one distribution in it has this name and
version, uv's pointer to it, if it notes a sha256, notes the planned one, and it was not written after the plan.
"""

from __future__ import annotations

import datetime as dt
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from scanner.cachefiles import POINTER_SIZE, Pointer, read_pointer
from scanner.errors import NotDeleted
from scanner.manager import Deleted
from scanner.toolstores.forms import Form
from scanner.toolstores.locks import locked
from scanner.toolstores.places import Gone, Place

if TYPE_CHECKING:
    from scanner.stale import LocalCopy

_GOING: Final = ".cgscan-going"
_POINTING: Final = re.compile(r"(?:built-wheels|wheels|sdists)-v\d+")
_PAGES: Final = re.compile(r"simple-v\d+")
_BUCKET: Final = re.compile(r"archive-v\d+")
_INFO: Final = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info")
_REFERRERS: Final = ".referrers"
_MOST_REFERRERS: Final = 1_000_000
"""Bytes of PDM's list of the places that use an entry."""


def delete(store: Place, form: Form, copy: LocalCopy, planned: dt.datetime | None) -> Deleted:
    """(1) Under the tool's lock; (2) the same entry still, used by nobody; (3) rename it; (4) what leads to it."""
    going = f"{form.name}{_GOING}"
    with ExitStack() as stack:
        if form.tool == "uv":
            stack.enter_context(locked(store, ".lock", "uv"))
        folder = stack.enter_context(store.below(form.folder))
        unfinished = folder.status(going) is not None
        found = folder.status(form.name)
        if found is not None and not unfinished:
            with folder.below(form.name) as entry, _locked_by_pdm(entry, form):
                if not _is_still(store, form, copy, entry, planned):
                    return Deleted.CHANGED
                folder.rename(form.name, going)
        if form.tool == "uv":
            _unlink_ways(store, form, copy)
        folder.remove_tree(going)
    return Deleted.GONE if found is not None or unfinished else Deleted.ALREADY_GONE


@contextmanager
def _locked_by_pdm(entry: Place, form: Form) -> Iterator[None]:
    if form.tool == "pdm":
        with locked(entry, ".lock", "pdm"):
            yield
    else:
        yield


# -- is it still the same


def _is_still(store: Place, form: Form, copy: LocalCopy, entry: Place, planned: dt.datetime | None) -> bool:
    _check_unused(entry)
    infos = [name for name in entry.names() if name.endswith((".dist-info", ".egg-info"))]
    if len(infos) != 1 or not _is_of(infos[0], copy) or entry.status("pyvenv.cfg") is not None:
        return False
    if planned is not None and _is_later(entry, infos[0], planned):
        return False
    if form.tool != "uv" or copy.sha256 is None:
        return True
    noted = {pointer.sha256 for _, _, pointer in _pointers(store, copy.project) if pointer.folder == form.name}
    return not noted - {None, copy.sha256}


def _is_of(info: str, copy: LocalCopy) -> bool:
    """Whether a dist-info is called after the planned project and version."""
    found = _INFO.fullmatch(info)
    if found is None or canonicalize_name(found["name"]) != copy.project:
        return False
    try:
        return copy.version is not None and Version(found["version"].replace("_", "-")) == Version(copy.version)
    except InvalidVersion:
        return found["version"] == copy.version


def _is_later(entry: Place, info: str, planned: dt.datetime) -> bool:
    """By the time of the last change of what every wheel has, which no archive can set. A second is its grain."""
    status = entry.status(info)
    return status is not None and status.st_ctime > planned.timestamp() + 1


def _check_unused(entry: Place) -> None:
    """PDM lists in an entry the environments that are made of links into it; they would break."""
    with suppress(Gone), entry.reading(_REFERRERS) as file:
        for line in file.read(_MOST_REFERRERS).decode("utf-8", "replace").splitlines():
            place = line.strip()
            if place and _is_there(place):
                raise NotDeleted(
                    f"{entry.path}: not deleted: the environment with {place[:500]} is made of links into it",
                    hint="install again with 'install.cache false' or after that environment is removed",
                )


def _is_there(path: str) -> bool:
    try:
        with Place.of(path):
            return True
    except (Gone, OSError, ValueError):
        return False


# -- what leads to an archive of uv's


def _unlink_ways(store: Place, form: Form, copy: LocalCopy) -> None:
    """Remove uv's pointers and links to an archive, and its page of the project: it may promise the old bytes."""
    for folder, name, pointer in list(_pointing(store, copy.project, form.name)):
        with suppress(Gone), store.below(folder) as place:
            if pointer:  # the metadata that belong to it are found by it
                place.unlink(f"{name.rpartition('.')[0]}.msgpack")
            place.unlink(name)
    for path in list(_folders(store, _PAGES)):
        with suppress(Gone), store.below(path) as place:
            place.unlink(f"{copy.project}.rkyv")


def _pointing(store: Place, project: str, archive: str) -> Iterator[tuple[str, str, bool]]:
    """(folder, name, whether it is a pointer) of all that leads to an archive."""
    for folder, name, pointer in _pointers(store, project):
        if pointer.folder == archive and name != "revision.http":
            yield folder, name, True
    for folder, place in _of_project(store, project):
        for name in place.names():
            target = (place.link(name) or "").split("/")
            if target[-1] == archive and len(target) > 1 and _BUCKET.fullmatch(target[-2]):
                yield folder, name, False


def _pointers(store: Place, project: str) -> Iterator[tuple[str, str, Pointer]]:
    for folder, place in _of_project(store, project):
        for name in place.names():
            if name.endswith((".http", ".rev")) and (pointer := _pointer(place, name)):
                yield folder, name, pointer


def _pointer(place: Place, name: str) -> Pointer | None:
    status = place.status(name)
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    with suppress(Gone), place.reading(name) as file:
        return read_pointer(file.read(POINTER_SIZE + 1))
    return None


def _of_project(store: Place, project: str) -> Iterator[tuple[str, Place]]:
    """All folders in which uv writes of a project: ``wheels-v8/index/HASH/PROJECT``, ``sdists-v11/pypi/PROJECT/…``."""
    for path in _folders(store, _POINTING):
        with suppress(Gone), store.below(f"{path}/{project}") as place:
            yield f"{path}/{project}", place
            for below, deeper in place.walk(2):
                yield f"{path}/{project}/{below}", deeper


def _folders(store: Place, bucket: re.Pattern[str]) -> Iterator[str]:
    """The folders of the indexes in the buckets: ``wheels-v8/pypi``, ``wheels-v8/index/HASH``."""
    for name in store.names():
        if bucket.fullmatch(name):
            with suppress(Gone), store.below(name) as place:
                yield from [f"{name}/{path}" for path, _ in place.walk(2)]
