"""Indexes are asked while layers are still read, for what these show to be installed.

Nothing is decided here and nothing is kept: an index answers a question once in a scan, so who asks it in earnest
finds the answer there, or the failure. What upper layers take away again is asked for in vain. Left out is what will
most likely not be asked for: what a system's packages or conda put there, and what is vendored in something else.
"""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from packaging.utils import canonicalize_name

from scanner.candidates import Gathering, Question
from scanner.environment import Environment
from scanner.finders.metadata import first_word, headers, of_folder
from scanner.wheel import wheel_tags

if TYPE_CHECKING:
    from types import TracebackType

    from scanner.image import Platform
    from scanner.index import Index
    from scanner.inventory import Inventory

_THREADS: Final = 8
_AT_HAND: Final = ("directory", "snapshot")
"""Kinds of index that answer at once."""
_INFO: Final = ".dist-info"
_SITE: Final = re.compile(r"(?:.*/)?(?:site|dist)-packages/[^/]+\.dist-info")
_DOCUMENTS: Final = frozenset({"METADATA", "WHEEL", "INSTALLER"})
_OWNERS: Final = frozenset({"apk", "conda", "debian", "dpkg", "rpm"})
"""Words of INSTALLER that promise an owner. One without INSTALLER is most likely a system's, too."""


class Prefetching:
    """Asks the indexes behind URLs in threads of its own, which end when all is asked that was seen in the block.

    Nobody waits for them. An error in the block ends them with the request that is under way.
    """

    def __init__(self, indexes: Sequence[Index], *, platform: Platform | None) -> None:
        self._indexes = [index for index in indexes if index.kind not in _AT_HAND]
        self._platform = platform
        self._lock = threading.Lock()
        self._seen: set[Question] = set()
        self._questions: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._started = 0
        self._own = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if value is not None:
            self._over.set()
        for _ in range(self._started):
            self._questions.put(None)

    def see_document(self, path: str, data: bytes) -> None:
        """A file of a layer that is being read by this thread. What is in site-packages is asked for at once.

        Of other folders it is not known yet whether they are inside of an environment.
        """
        folder, _, name = path.rpartition("/")
        if name not in _DOCUMENTS or not _SITE.fullmatch(folder):
            return
        known = self._documents()
        documents = known.setdefault(folder, {})
        documents[name] = data
        if len(documents) == len(_DOCUMENTS):
            self._add(_question(folder, known.pop(folder), self._platform))

    def see(self, inventory: Inventory) -> None:
        """A layer that this thread has read to its end."""
        self._documents().clear()
        for question in _questions(inventory, self._platform) if self._indexes else ():
            self._add(question)

    def _documents(self) -> dict[str, dict[str, bytes]]:
        """Of the layer that this thread reads."""
        known: dict[str, dict[str, bytes]] | None = getattr(self._own, "documents", None)
        if known is None:
            known = self._own.documents = {}
        return known

    def _add(self, question: Question | None) -> None:
        """Have a thread ask it. Returns at once."""
        with self._lock:
            if question is None or question in self._seen or not self._indexes:
                return
            self._seen.add(question)
            if self._started < _THREADS:
                self._started += 1
                threading.Thread(target=self._work, name="prefetching", daemon=True).start()
        self._questions.put(question)

    def _work(self) -> None:
        while (question := self._questions.get()) is not None and not self._over.is_set():
            with suppress(Exception):  # whoever asks in earnest is told
                self._ask(question)

    def _ask(self, question: Question) -> None:
        """Its pages, and the wheels of the installed tags: what every comparison begins with."""
        gathering = Gathering(question, self._indexes)
        if question.tags and not self._over.is_set():
            gathering.gather(wide=False)


def _questions(inventory: Inventory, platform: Platform | None) -> Iterator[Question]:
    """One for each dist-info folder, unless it is inside of another environment."""
    folders: dict[str, dict[str, bytes]] = {}
    for entry in inventory.entries:
        if entry.name in _DOCUMENTS and entry.sha256 is not None and entry.folder.endswith(_INFO):
            folders.setdefault(entry.folder, {})[entry.name] = inventory.contents.get(entry.sha256, b"")
    environments = {folder.rpartition("/")[0] for folder in folders}
    for folder, documents in folders.items():
        if not _is_inside(folder.rpartition("/")[0], environments):
            question = _question(folder, documents, platform)
            if question is not None:
                yield question


def _is_inside(environment: str, environments: Collection[str]) -> bool:
    while environment:
        environment = environment.rpartition("/")[0]
        if environment in environments:
            return True
    return False


def _question(folder: str, documents: Mapping[str, bytes], platform: Platform | None) -> Question | None:
    """What the comparison will ask first; None where INSTALLER is an owner's, or the metadata name nothing."""
    if first_word(documents.get("INSTALLER")) in {None, *_OWNERS}:
        return None
    said = headers(documents.get("METADATA", b"").partition(b"\n\n")[0])
    named = of_folder(folder.rpartition("/")[2])
    name = said.get("name") or (named.name if named else None)
    version = said.get("version") or (named.version if named else None)
    if name is None or version is None:
        return None
    return Question(
        project=canonicalize_name(name),
        version=version,
        tags=wheel_tags(documents.get("WHEEL", b"")),
        environment=Environment.of(""),
        platform=platform,
        musl=False,
    )
