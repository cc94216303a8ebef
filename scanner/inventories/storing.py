"""What is kept of the caches of pip, uv, Poetry and PDM: opened artifacts, and the notes on where they are from.

An artifact that has other bytes around it, or no name of its own, can be opened only while the file is at hand. Whether
a file lies in a cache at all is for the finders to say, who see its neighbours.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import BinaryIO

from scanner.artifact import Artifact, Trouble, open_artifact, open_wheel
from scanner.cachefiles import HISHEL_DATABASE, POINTER_SIZE, Answer, is_of_an_old_form, read_answer, read_answers
from scanner.digest import Digest
from scanner.distribution import FindingKind
from scanner.errors import DatabaseUnreadable, LimitExceeded
from scanner.limits import Limits
from scanner.wheel import WheelContents


class Storing:
    """The artifacts of one layer, by the raw sha256 of the files that hold them.

    ``keep`` keeps a small file; ``admit`` keeps what an opened wheel holds, and says whether there is room for it;
    ``expand`` counts decompressed bytes, and raises :class:`scanner.errors.LimitExceeded`.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        keep: Callable[[str, bytes, bytes], None],
        admit: Callable[[str, WheelContents], bool],
        expand: Callable[[int], None],
        finding: Callable[[FindingKind, str, str], None],
    ) -> None:
        self._limits = limits
        self._keep = keep
        self._admit = admit
        self._expand = expand
        self._finding = finding
        self.artifacts: dict[bytes, tuple[Artifact, ...]] = {}

    def take_wheel(self, path: str, sha256: bytes, file: BinaryIO) -> None:
        """A file that its name calls a wheel."""
        if sha256 not in self.artifacts:
            name, digest = path.rpartition("/")[2], Digest.sha256(sha256)
            self._add(path, sha256, [lambda: open_wheel(file, filename=name, sha256=digest, limits=self._limits)])

    def take_archive(self, path: str, sha256: bytes, file: BinaryIO) -> None:
        """The body of an answer in a file of its own, or a source archive under its name."""
        if sha256 not in self.artifacts:
            digest = Digest.sha256(sha256)
            self._add(path, sha256, [lambda: open_artifact(file, sha256=digest, limits=self._limits)])

    def take_answer(self, path: str, sha256: bytes, data: bytes) -> None:
        """An answer with its body inside; the head of one; or a database of answers."""
        if sha256 in self.artifacts:
            return
        if path.endswith(HISHEL_DATABASE):
            self._take_database(path, sha256, data)
            return
        answer = read_answer(data)
        if answer is None and is_of_an_old_form(data):
            self._finding(FindingKind.UNREADABLE, path, "a cached answer in a form of before 2018, which is not read")
        elif answer is not None and answer.body:
            self._add(path, sha256, [partial(self._of_answer, answer)])
        elif answer is not None and len(data) <= POINTER_SIZE:
            self._keep(path, sha256, data)

    def take_note(self, path: str, sha256: bytes, data: bytes) -> None:
        """uv's pointer or pip's ``origin.json``."""
        self._keep(path, sha256, data)

    def _take_database(self, path: str, sha256: bytes, data: bytes) -> None:
        try:
            answers = read_answers(data, self._limits)
            self._add(path, sha256, (partial(self._of_answer, answer) for answer in answers))
        except DatabaseUnreadable as problem:
            self._finding(FindingKind.UNREADABLE, path, problem.message)

    def _of_answer(self, answer: Answer) -> Artifact:
        """An artifact inside of an answer, which says itself whether it should be a wheel."""
        one = open_artifact(io.BytesIO(answer.body), sha256=Digest.of(answer.body), limits=self._limits)
        one = replace(one, said=answer.url, part=answer.part)
        expected = answer.is_said_a_wheel and one.trouble is not None
        return replace(one, trouble=Trouble.CORRUPT) if expected else one

    def _add(self, path: str, sha256: bytes, found: Iterable[Callable[[], Artifact]]) -> None:
        """Open artifacts one after the other, as long as there is room for what they hold."""
        for opened in found:
            try:
                self._expand(0)
                one = opened()
                self._expand(sum(member.size for member in one.wheel.members.values()) if one.wheel else 0)
            except LimitExceeded as problem:
                self._finding(FindingKind.UNREADABLE, path, problem.message)
                return
            if one.wheel is None or self._admit(path, one.wheel):
                self.artifacts[sha256] = (*self.artifacts.get(sha256, ()), one)
