"""What pip, uv, Poetry and PDM keep for the next time: stored artifacts, and wheels unpacked in a store.

A cache is told by its structure, at any path (:class:`scanner.cachefiles.Store`). A stored file counts for no
coverage whatever it is called, so its form is enough. An unpacked wheel could be somebody's live environment under a
store's name; it is a cache's entry only if

1. it lies where the store has its entries, and the store has what the tool writes beside them;
2. it holds one dist-info, without the ``INSTALLER`` that every installer writes and no store does (but virtualenv's,
   which is made to be copied);
3. no ``pyvenv.cfg`` is above it inside the entry: uv keeps whole environments there, and those are run;
4. no ``.pth`` file of the tree puts it on the path.

Links and hard links into a store do not matter here: an environment made of them is found at its own place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Final

from scanner.artifact import Artifact, Trouble, of_source_name
from scanner.cachefiles import Pointer, Store, read_answer, read_pointer, without_secrets
from scanner.digest import Digest
from scanner.distribution import Finding, FindingKind, Installed, Kind, WheelFile
from scanner.rootfs import Node, RootFS
from scanner.wheel import WheelName

STORED_SUFFIXES: Final = (".whl", ".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz")
_UV_BUCKET: Final = re.compile(
    r"(?:archive|wheels|built-wheels|sdists|simple|interpreter|git|builds|flat-index|environments|binaries|python)-v\d+"
)
_UV_ENTRY: Final = re.compile(r"(?P<root>.*)/(?P<bucket>archive-v\d+)/[^/]+")
_UV_SOURCE: Final = re.compile(r"(?P<root>.*)/(?P<bucket>(?:sdists|built-wheels|git)-v\d+)(?:/[^/]+)+")
_SEEDERS: Final = ("CopyPipInstall", "SymlinkPipInstall")
_PDM_MARKS: Final = (".referrers", "referrers", ".checksum", ".lock")
_INFO: Final = (".dist-info", ".egg-info")
_MOST_NOTES: Final = 2_000_000
"""Files gone through for uv's pointers, of all its stores together: one may lie in another."""


class Caches:
    """The caches of one tree."""

    def __init__(self, rootfs: RootFS) -> None:
        self._rootfs = rootfs
        self._pointers: dict[str, dict[str, tuple[Pointer, str]]] = {}
        self._stores: dict[str, bool] = {}
        self._infos: dict[str, list[str]] = {}
        self._left = _MOST_NOTES

    # --- stored files ---

    def has(self, path: str, node: Node) -> bool:
        """Whether a path is an artifact, or an answer with one, in a tool's cache."""
        if node.entry.kind != "file" or not (
            node.entry.sha256 in self._rootfs.artifacts or path.endswith(STORED_SUFFIXES)
        ):
            return False
        folder, _, name = path[1:].rpartition("/")
        store = Store.of(folder)
        return store is not None and (
            store.is_archive(name) or store.is_body(name, folder) or store.is_answer(name, folder)
        )

    def read(self, path: str, node: Node) -> Iterator[WheelFile | Finding]:
        """What is stored in a file that :meth:`has` is true of."""
        assert node.entry.sha256 is not None
        known = self._rootfs.artifacts.get(node.entry.sha256)
        if known is None:
            yield from self._unopened(path, node, Digest.sha256(node.entry.sha256))
        for artifact in known or ():
            yield from self._artifact(path, node, artifact)

    def _unopened(self, path: str, node: Node, sha256: Digest) -> Iterator[WheelFile | Finding]:
        """An archive of which only the name says what it is: a source archive, or a wheel over the limits."""
        filename = path.rpartition("/")[2]
        wheel = WheelName.parse(filename)
        said = (wheel.project, str(wheel.version)) if wheel else of_source_name(filename)
        if said is None:
            detail = "an archive in a cache whose name is none of a project's"
            yield Finding(kind=FindingKind.UNREADABLE, path=path, layer=node.since, detail=detail)
            return
        yield WheelFile(
            name=said[0],
            version=said[1],
            location=path,
            sha256=sha256,
            contents=None,
            kind=Kind.CACHED,
            said=self._said_beside(path),
            source=wheel is None,
        )

    def _artifact(self, path: str, node: Node, artifact: Artifact) -> Iterator[WheelFile | Finding]:
        location = f"{path}!/{artifact.part}" if artifact.part else path
        if artifact.trouble is not None:
            if kind := self._finding_of(path, artifact.trouble):
                yield Finding(kind=kind, path=location, layer=node.since, detail=artifact.detail)
            return
        assert artifact.name is not None
        yield WheelFile(
            name=artifact.name,
            version=artifact.version,
            location=location,
            sha256=artifact.sha256,
            contents=artifact.wheel,
            kind=Kind.CACHED,
            said=f"from {artifact.said}" if artifact.said else self._said_beside(path),
            source=artifact.wheel is None,
        )

    def _finding_of(self, path: str, trouble: Trouble) -> FindingKind | None:
        """Pages of an index and the like are no finding, unless the answer's head says that it is a wheel."""
        if trouble is Trouble.NAMELESS:
            return FindingKind.UNREADABLE
        head = self._rootfs.read(path.removesuffix(".body")) if path.endswith(".body") else None
        answer = read_answer(head) if head else None
        said = path.endswith(STORED_SUFFIXES) or (answer is not None and answer.is_said_a_wheel)
        expected = trouble is Trouble.CORRUPT or said
        return FindingKind.CORRUPT_CACHE if expected else None

    def _said_beside(self, path: str) -> str | None:
        """Of a wheel that was built on the spot: from what, as pip's ``origin.json`` and uv's revision say."""
        folder = path.rpartition("/")[0]
        pointer = _revision(self._rootfs, folder.rpartition("/")[0])
        url = pointer.url if pointer else _origin(self._rootfs.read(f"{folder}/origin.json"))
        return f"built from {url}" if url and path.endswith(".whl") else None

    # --- unpacked wheels ---

    def placed(self, one: Installed) -> Installed:
        """The distribution as it is if it lies in a place of its own; as a cache's if it is an entry of a store."""
        entry = self._entry(one.location)
        if entry is None or not self._is_at_rest(one, entry):
            return one
        pointer, said = self._pointer(entry)
        digest = pointer.sha256 if pointer and said.startswith("from") else None
        return replace(one, kind=Kind.CACHED, archive_sha256=digest, said=said or None)

    def _entry(self, location: str) -> str | None:
        """The entry of a store that a path is in: the outermost, by the structure around it."""
        parts = location.split("/")
        for end in range(3, len(parts)):
            folder = "/".join(parts[:end])
            if self._is_pdm(folder, parts[end - 1]) or self._is_seed(folder):
                return folder
            found = _UV_ENTRY.fullmatch(folder) or (_UV_SOURCE.fullmatch(folder) if end == len(parts) - 1 else None)
            if found and self._is_uv(found["root"], found["bucket"]):
                return folder
        return None

    def _is_uv(self, root: str, bucket: str) -> bool:
        known = self._stores.get(f"{root}/{bucket}")
        if known is None:
            beside = set(self._rootfs.children(root or "/")) - {bucket}
            known = "CACHEDIR.TAG" in beside or any(_UV_BUCKET.fullmatch(name) for name in beside)
            self._stores[f"{root}/{bucket}"] = known
        return known

    def _is_pdm(self, folder: str, name: str) -> bool:
        if name.count("-") < 4 or WheelName.parse(f"{name.removesuffix('.cache').removesuffix('.whl')}.whl") is None:
            return False
        return any(self._rootfs.node(f"{folder}/{mark}") is not None for mark in _PDM_MARKS)

    @staticmethod
    def _is_seed(folder: str) -> bool:
        """Whether a folder is what virtualenv copies pip from: ``image/1/CopyPipInstall/pip-26.3-py3-none-any``."""
        parts = folder.split("/")
        return parts[-2] in _SEEDERS and parts[-4:-3] == ["image"] and WheelName.parse(f"{parts[-1]}.whl") is not None

    def _is_at_rest(self, one: Installed, entry: str) -> bool:
        """Conditions 2 to 4; what is nested in an entry (``setuptools/_vendor``) goes with it."""
        infos = self._first_infos(entry)
        between = one.environment[len(entry) :].split("/")
        folders = [entry + "/".join(between[:end]) for end in range(1, len(between) + 1)]
        installed = [one.location, *(f"{entry}/{name}" for name in infos)]
        return (
            len(infos) == 1
            and (self._is_seed(entry) or not self._any_has(installed, "INSTALLER"))
            and not self._any_has(folders, "pyvenv.cfg")
            and not any(self._rootfs.resolve(path) in self._on_paths for path in folders)
        )

    def _any_has(self, folders: list[str], name: str) -> bool:
        return any(self._rootfs.node(f"{folder}/{name}") is not None for folder in folders)

    def _first_infos(self, entry: str) -> list[str]:
        """The names of an entry's own dist-infos, two at most: it is asked for each of them."""
        if entry not in self._infos:
            names = (name for name in self._rootfs.children(entry) if name.endswith(_INFO))
            self._infos[entry] = list(islice(names, 2))
        return self._infos[entry]

    @cached_property
    def _on_paths(self) -> frozenset[str]:
        """The folders that ``.pth`` files name; imports in them are code, and not followed."""
        found: set[str] = set()
        for path, node in self._rootfs.walk(archives=False, endings=(".pth",)):
            if node.entry.kind not in ("file", "symlink"):
                continue
            for line in (self._rootfs.read(path) or b"").decode("utf-8", "replace").splitlines()[:1000]:
                text = line.strip()
                if text and not text.startswith(("#", "import ", "import\t")) and len(text) < 4096:
                    there = text if text.startswith("/") else f"{path.rpartition('/')[0]}/{text}"
                    found.add(self._rootfs.resolve(there) or there)
        return frozenset(found)

    # --- uv's pointers ---

    def _pointer(self, entry: str) -> tuple[Pointer | None, str]:
        """What uv says of an unpacked wheel: (the pointer, where it has it from)."""
        found = _UV_ENTRY.fullmatch(entry)
        if not found:
            return None, ""
        root = found["root"]
        if root not in self._pointers:
            self._pointers[root] = dict(self._pointed(root))
        return self._pointers[root].get(entry.rpartition("/")[2], (None, ""))

    def _pointed(self, root: str) -> Iterator[tuple[str, tuple[Pointer, str]]]:
        for bucket in self._rootfs.children(root or "/"):
            store = Store.of(bucket)
            if store is not Store.UV_WHEELS and store is not Store.UV_SDISTS:
                continue
            for path, node in islice(self._rootfs.walk(f"{root}/{bucket}", archives=False), self._left):
                self._left -= 1
                name = path.rpartition("/")[2]
                if store is Store.UV_WHEELS and store.is_pointer(name):
                    pointer = read_pointer(self._rootfs.read(path) or b"")
                    if pointer is not None:
                        yield pointer.folder, (pointer, f"from {pointer.url}" if pointer.url else "")
                elif node.entry.kind == "symlink" and _UV_ENTRY.search(f"/{node.entry.link}"):
                    revision = _revision(self._rootfs, path.rpartition("/")[0].rpartition("/")[0])
                    if revision is not None and revision.url:
                        yield node.entry.link.rpartition("/")[2], (revision, f"built from {revision.url}")


def _revision(rootfs: RootFS, folder: str) -> Pointer | None:
    """uv's note on the source distribution whose revisions are in a folder."""
    data = rootfs.read(f"{folder}/revision.http") or rootfs.read(f"{folder}/revision.rev")
    return read_pointer(data) if data else None


def _origin(data: bytes | None) -> str | None:
    """The URL in pip's ``origin.json``, which has the form of ``direct_url.json`` (PEP 610)."""
    try:
        document = json.loads(data or b"")
    except (ValueError, RecursionError):
        return None
    url = document.get("url") if isinstance(document, dict) else None
    return without_secrets(url) if isinstance(url, str) else None
