"""Changed files read a second time, to say in what form they differ from the wheel's.

The one pass over a layer keeps no bytes of ordinary files. Where some were changed, their layers (or the folder) are
opened once more, and only what has a wanted size is read; what is found is remembered. It is bounded by
``second_look_files``, ``second_look`` and ``form``; whatever goes wrong here costs a note and nothing else.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from scanner.compression import decompressed
from scanner.errors import CgscanError
from scanner.forms import Form, form_of
from scanner.image import Directory, File, Image, Layer, Target
from scanner.inventories import read_listed
from scanner.inventories.remembered import FormMemory
from scanner.limits import Limits
from scanner.rootfs import RegularFile
from scanner.store import NoStore, Store
from scanner.tarstream import TarStream


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLook:
    """Looks again into one target; see :data:`scanner.assessed.LookAgain`."""

    target: Target
    limits: Limits
    store: Store = field(default_factory=NoStore)
    lazy: bool = False
    """Whether only the wanted files are fetched of layers with a table of contents."""

    def __call__(self, files: Sequence[RegularFile]) -> Mapping[bytes, Form]:
        """The forms of files, by sha256, of those that could be read."""
        wanted = [file for file in files if 0 < file.size <= self.limits.form][: self.limits.second_look_files]
        memory = FormMemory(self.store)
        found = memory.known(file.sha256 for file in wanted)
        for sha256, data in self._read(wanted, found):
            found[sha256] = form_of(data)
            memory.put(sha256, found[sha256])
        return {sha256: form for sha256, form in found.items() if form is not None}

    def _read(self, wanted: Sequence[RegularFile], known: dict[bytes, Form | None]) -> Iterator[tuple[bytes, bytes]]:
        """The bytes of what is not known; what becomes known meanwhile is put there."""
        unknown = [file for file in wanted if file.sha256 not in known]
        match self.target:
            case Image():
                yield from self._in_layers(self.target, wanted, known)
            case Directory():
                yield from _in_folder(self.target, unknown)
            case File() if unknown:
                yield from self._in_tar(self._plain(self.target), unknown)

    def _in_layers(
        self, image: Image, wanted: Sequence[RegularFile], known: dict[bytes, Form | None]
    ) -> Iterator[tuple[bytes, bytes]]:
        """A layer whose files are known counts for the limit like any other, so that every scan says the same."""
        layers: dict[int, list[RegularFile]] = defaultdict(list)
        for file in wanted:
            layers[file.since].append(file)
        left = self.limits.second_look
        for number, files in sorted(layers.items()):
            layer = image.layers[number]
            left -= layer.size or 0
            unknown = [file for file in files if file.sha256 not in known]
            if left < 0 or not unknown:
                continue
            digests = {file.sha256 for file in unknown}
            with FormMemory(self.store).all_known_or_claimed(layer, digests) as forms:
                if forms is None:
                    yield from self._in_layer(layer, unknown)
                else:
                    known.update(forms)

    def _in_layer(self, layer: Layer, wanted: Sequence[RegularFile]) -> Iterator[tuple[bytes, bytes]]:
        if self.lazy:
            with suppress(CgscanError):
                yield from read_listed(layer, {file.sha256 for file in wanted}, limits=self.limits, what="second look")
                return
        yield from self._in_tar(layer.tar(self.limits), wanted)

    def _in_tar(
        self, opening: AbstractContextManager[BinaryIO], wanted: Sequence[RegularFile]
    ) -> Iterator[tuple[bytes, bytes]]:
        """The wanted contents of a tar, under whatever names they stand there."""
        digests, sizes = {file.sha256 for file in wanted}, {file.size for file in wanted}
        with suppress(CgscanError, OSError), opening as tar:
            stream = TarStream(tar, what="second look", limits=self.limits)
            for entry in stream:
                if entry.kind != "file" or entry.size not in sizes:
                    continue
                data = b"".join(stream.content())
                sha256 = hashlib.sha256(data).digest()
                if sha256 in digests:
                    digests.remove(sha256)
                    yield sha256, data
                if not digests:
                    break

    @contextmanager
    def _plain(self, file: File) -> Iterator[BinaryIO]:
        with file.path.open("rb") as stored:
            yield decompressed(stored, what=file.reference, limits=self.limits)


def _in_folder(folder: Directory, wanted: Sequence[RegularFile]) -> Iterator[tuple[bytes, bytes]]:
    for file in wanted:
        with suppress(OSError):
            place = os.open(folder.path / file.path.lstrip("/"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(place, "rb") as opened:
                data = opened.read(file.size)
            if hashlib.sha256(data).digest() == file.sha256:
                yield file.sha256, data
