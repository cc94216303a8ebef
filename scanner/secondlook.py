"""Changed files read a second time, to say in what form they differ from the wheel's.

The one pass over a layer keeps no bytes of ordinary files. Where some were changed, their layers (or the folder) are
opened once more, and only what has a wanted size is read. It is bounded by ``second_look_files``, ``second_look`` and
``form``; whatever goes wrong here costs a note and nothing else.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

from scanner.compression import decompressed
from scanner.errors import CgscanError
from scanner.forms import Form, form_of
from scanner.image import Directory, File, Image, Target
from scanner.limits import Limits
from scanner.rootfs import RegularFile
from scanner.tarstream import TarStream


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLook:
    """Looks again into one target; see :data:`scanner.assessed.LookAgain`."""

    target: Target
    limits: Limits

    def __call__(self, files: Sequence[RegularFile]) -> Mapping[bytes, Form]:
        """The forms of files, by sha256, of those that could be read."""
        wanted = [file for file in files if 0 < file.size <= self.limits.form][: self.limits.second_look_files]
        found: dict[bytes, Form] = {}
        for sha256, data in self._read(wanted):
            form = form_of(data)
            if form is not None:
                found[sha256] = form
        return found

    def _read(self, wanted: Sequence[RegularFile]) -> Iterator[tuple[bytes, bytes]]:
        match self.target:
            case Image():
                yield from self._in_layers(self.target, wanted)
            case Directory():
                yield from _in_folder(self.target, wanted)
            case File() if wanted:
                yield from self._in_tar(self._plain(self.target), wanted)

    def _in_layers(self, image: Image, wanted: Sequence[RegularFile]) -> Iterator[tuple[bytes, bytes]]:
        layers: dict[int, list[RegularFile]] = defaultdict(list)
        for file in wanted:
            layers[file.since].append(file)
        left = self.limits.second_look
        for number, files in sorted(layers.items()):
            layer = image.layers[number]
            left -= layer.size or 0
            if left >= 0:
                yield from self._in_tar(layer.tar(self.limits), files)

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
