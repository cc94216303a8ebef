"""A folder as an index: ``DIR/<project>/index.html``, ``DIR/<project>/*.whl``, or wheels side by side in DIR.

What is signed about a wheel is read from ``<wheel>.provenance`` (PEP 740) or ``<wheel>.sigstore.json`` beside it.

A mirror's ``DIR/simple/<project>/index.html`` with files elsewhere below DIR is read too. Everything stays inside
DIR: a link or symbolic link that leads out of it is refused, one to a web server is listed but not followed. The
digest of every wheel is computed; a page that promises another one makes the project unavailable.
"""

from __future__ import annotations

import hashlib
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final, cast
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from scanner.attestation import Form
from scanner.digest import CHUNK, Digest
from scanner.errors import IndexUnavailable, UsageError
from scanner.index import IndexFile
from scanner.indexes.history import History
from scanner.indexes.once import Once
from scanner.indexes.page import Page, parse_page
from scanner.indexes.remembered import WheelMemory
from scanner.indexes.remote import PromisedBytes
from scanner.wheel import WheelName, read_wheel, read_wheel_by_record

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from scanner.index import Held, IndexSpec, Role, Seen
    from scanner.limits import Limits
    from scanner.store import Store
    from scanner.wheel import WheelContents

_BESIDE: Final = {Form.PROVENANCE: ".provenance", Form.BUNDLE: ".sigstore.json"}


class DirectoryIndex:
    """A package index in a folder; asks no network. See :class:`scanner.index.Index`."""

    def __init__(self, spec: IndexSpec, *, store: Store, limits: Limits) -> None:
        self._spec = spec
        self._limits = limits
        self._folder = _folder(spec.location)
        self._root = self._folder.resolve()
        self._memory = WheelMemory(store, self._root.as_uri())
        self._history = History(store, index=self._root.as_uri(), role=spec.role, user="", built_only=spec.built_only)
        self._files: Once[NormalizedName, tuple[IndexFile, ...]] = Once()
        self._wheels: Once[tuple[str, str, bool], WheelContents] = Once()
        self._digests: Once[tuple[str, int, int], Digest] = Once()
        self._lock = threading.Lock()
        self._listed: dict[str, tuple[Path, ...]] | None = None

    def __repr__(self) -> str:
        return f"DirectoryIndex({self.url})"

    @property
    def name(self) -> str:
        """The configured name, else the folder as it was given."""
        return self._spec.name or self.url

    @property
    def role(self) -> Role:
        """Whose builds it is asked for."""
        return self._spec.role

    @property
    def kind(self) -> str:
        """``directory``."""
        return "directory"

    @property
    def url(self) -> str:
        """The folder as it was given."""
        return self._spec.location

    @property
    def built_only(self) -> bool:
        """Whether it is configured as serving Chainguard-built wheels only."""
        return self._spec.built_only

    def files(self, project: NormalizedName) -> Sequence[IndexFile]:
        """Every file of a project; empty where the folder has none."""
        return self._files(project, lambda: self._find(project))

    def wheel(self, file: IndexFile, *, whole: bool = False) -> WheelContents:
        """What one of its wheels holds."""
        return self._wheels((file.filename, file.url, whole), lambda: self._ask_wheel(file, whole=whole))

    def earlier(self, project: NormalizedName) -> Sequence[Seen]:
        """Wheels that it has had and does not have any more."""
        return self._history.earlier(project, self.files(project))

    def recall(self, file: IndexFile) -> WheelContents | None:
        """What a wheel held that is not there any more."""
        return self._memory.get(file, proved=False)

    def remember(self, project: NormalizedName, held: Sequence[Held]) -> None:
        """Keep that wheels are there, and what holds of them."""
        self._history.remember(project, self.files(project), time.time(), held)

    def attestation(self, file: IndexFile, form: Form) -> bytes | None:
        """What is signed about one of its wheels."""
        wheel = self._path(file)
        beside = wheel.with_name(f"{wheel.name}{_BESIDE[form]}")
        if not beside.is_file():
            return None
        with self._open(self._inside(beside)) as stream:
            document = stream.read(self._limits.attestation + 1)
        if len(document) > self._limits.attestation:
            raise IndexUnavailable(f"{beside}: longer than {self._limits.attestation} bytes (limit attestation)")
        return document

    def _ask_wheel(self, file: IndexFile, *, whole: bool) -> WheelContents:
        contents = self._memory.get(file, proved=whole)
        if contents is None:
            contents = self._read(file, whole=whole)
            self._memory.put(contents)
        return contents

    def _read(self, file: IndexFile, *, whole: bool) -> WheelContents:
        with self._open(self._path(file)) as stream:
            opened = cast("BinaryIO", stream)
            if not whole:
                found = read_wheel_by_record(opened, filename=file.filename, limits=self._limits, sha256=file.sha256)
                if found is not None:
                    return found
                stream.seek(0)
            check = PromisedBytes(file, limits=self._limits)
            while chunk := stream.read(CHUNK):
                check.take(chunk)
            sha256 = check.end()
            stream.seek(0)
            return read_wheel(opened, filename=file.filename, limits=self._limits, sha256=sha256, forms=True)

    # what is there

    def _find(self, project: NormalizedName) -> tuple[IndexFile, ...]:
        found: dict[str, IndexFile] = {}
        try:
            for file in (*self._on_pages(project), *self._loose(project)):
                found.setdefault(file.url, file)
        except OSError as problem:
            raise IndexUnavailable(f"{self.url}: cannot read {problem.filename}: {problem.strerror}") from problem
        return tuple(found.values())

    def _on_pages(self, project: NormalizedName) -> Iterator[IndexFile]:
        for folder in self._listing().get(project, ()):
            page = folder / "index.html"
            if page.is_file():
                yield from self._on_page(page, project)
            else:
                yield from (self._local(path) for path in sorted(folder.glob("*.whl")))

    def _on_page(self, page: Path, project: NormalizedName) -> Iterator[IndexFile]:
        with self._open(self._inside(page)) as stream:
            body = stream.read(self._limits.page + 1)
        if len(body) > self._limits.page:
            raise IndexUnavailable(f"{page}: longer than {self._limits.page} bytes (limit page)")
        url = page.absolute().as_uri()
        for file in parse_page(Page(project=project, url=url, base=url, content_type="text/html", body=body)):
            yield self._checked(file) if file.url.startswith("file:") else file

    def _checked(self, file: IndexFile) -> IndexFile:
        """The file behind a page's link, with the digest of its bytes, which must be the page's."""
        path = self._path(file)
        local = self._local(path)
        promised, actual = file.sha256, local.sha256
        if promised is not None and promised != actual:
            raise IndexUnavailable(
                f"{path}: its bytes have {actual}, the page promises {promised}",
                hint="make the folder again; a file in it was replaced or is damaged",
            )
        hashes = {**file.hashes, **local.hashes}
        return file._replace(url=local.url, shown_url=local.url, size=local.size, hashes=hashes)

    def _loose(self, project: NormalizedName) -> Iterator[IndexFile]:
        for path in self._listing().get(f"{project}/", ()):
            yield self._local(path)

    def _listing(self) -> dict[str, tuple[Path, ...]]:
        """Folders by project, and wheels in DIR itself by ``project/``; DIR is read once."""
        with self._lock:
            if self._listed is None:
                listed: dict[str, tuple[Path, ...]] = {}
                for place in (self._folder, self._folder / "simple"):
                    for path in sorted(place.iterdir()) if place.is_dir() else ():
                        key = _key(path)
                        if key is not None:
                            listed[key] = (*listed.get(key, ()), path)
                self._listed = listed
            return self._listed

    # files inside the folder

    def _local(self, path: Path) -> IndexFile:
        place = self._inside(path)
        found = place.stat()
        digest = self._digests((str(place), found.st_size, found.st_mtime_ns), lambda: self._digest(place))
        return IndexFile(
            filename=path.name,
            url=place.as_uri(),
            shown_url=place.as_uri(),
            hashes={"sha256": digest.hex},
            size=found.st_size,
        )

    def _digest(self, place: Path) -> Digest:
        running = hashlib.sha256()
        with self._open(place) as stream:
            while chunk := stream.read(CHUNK):
                running.update(chunk)
        return Digest("sha256", running.hexdigest())

    def _path(self, file: IndexFile) -> Path:
        """Where a file is; refused outside of the folder."""
        parts = urlsplit(file.url)
        if parts.scheme != "file":
            raise IndexUnavailable(
                f"{file.shown_url}: {self.url} links to a web server, which a folder as an index does not follow",
                hint="put the file into the folder, or give the server as an index",
            )
        if parts.netloc not in ("", "localhost") or "\0" in unquote(parts.path):
            raise IndexUnavailable(f"{self.url}: links to a file on another machine: {file.shown_url}")
        return self._inside(Path(unquote(parts.path, errors="surrogateescape")))

    def _inside(self, path: Path) -> Path:
        """The path without symbolic links; it must be a regular file below the folder."""
        try:
            place = path.resolve(strict=True)
            regular = stat.S_ISREG(place.stat().st_mode)
        except (OSError, RuntimeError, ValueError) as problem:
            raise IndexUnavailable(f"{self.url}: {path.name}: is listed and cannot be found") from problem
        if not place.is_relative_to(self._root):
            raise IndexUnavailable(f"{self.url}: {path.name}: leads out of the folder")
        if not regular:
            raise IndexUnavailable(f"{self.url}: {path.name}: is no regular file")
        return place

    def _open(self, place: Path) -> IO[bytes]:
        try:
            return place.open("rb")
        except OSError as problem:
            raise IndexUnavailable(f"{place}: cannot be read: {problem.strerror}") from problem


def _folder(location: str) -> Path:
    path = Path(unquote(urlsplit(location).path)) if location.startswith("file:") else Path(location)
    if not path.is_dir():
        raise UsageError(f"{location}: no such folder", hint="an index is a URL, or a folder with wheels")
    return path


def _key(path: Path) -> str | None:
    if path.suffix == ".whl":
        wheel = WheelName.parse(path.name)
        return f"{wheel.project}/" if wheel else None
    return canonicalize_name(path.name) if path.is_dir() else None
