"""A job -> reports, or why there are none and whether that may pass."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from scanner.answered import Answers
from scanner.config import Settings
from scanner.decoding import Reading, decoded
from scanner.digest import Digest
from scanner.errors import CgscanError
from scanner.reference import ImageName
from scanner.report import Report
from scanner.run import options_of, store_of
from scanner.service.child import Errand, may_pass
from scanner.service.circumstances import terms_of
from scanner.service.jobs import Job
from scanner.service.sharing.desk import Sharing
from scanner.serving import Serving
from scanner.variables import DATABASE, QUEUE

_LOOK: Final = 0.2
"""Seconds between looks at a child."""
_PREFIX: Final = "cgscan-scan-"
_DAY: Final = 24 * 3600.0
_ENOUGH: Final = 2000
"""Bytes of what a child said on its way out that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What came of it. ``read`` is stored bytes, ``remembered`` layers that were not read again.

    ``answers`` is what the indexes have said.
    """

    reports: tuple[Report, ...]
    answers: Answers
    layers: int
    remembered: int
    read: int


class Failed(Exception):
    """No reports; whether a later attempt may go well, whether there is no image in what is there, or nothing there."""

    def __init__(self, reason: str, *, passing: bool, no_image: bool = False, absent: bool = False) -> None:
        super().__init__(reason)
        self.no_image = no_image
        self.absent = absent
        self.reason = reason
        self.passing = passing


class Stopped(Exception):
    """The scan was ended because it was told to."""


Beat: TypeAlias = Callable[[], None]
"""Called several times a second while a scan runs; what it raises ends the scan."""


def image_of(job: Job) -> ImageName:
    """The image that a job names."""
    digest = Digest.parse(job.digest) if job.digest else None
    return ImageName(host=job.registry, repository=job.repository, tag=job.tag or None, digest=digest)


def remove_left(*, older: float) -> None:
    """Remove our folders of scans whose worker was killed: those that are older than any scan lasts, in seconds."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            status = folder.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and status.st_mtime < time.time() - older:
                shutil.rmtree(folder, ignore_errors=True)


class Scanner:
    """Scans images as the service was told to. ``flags`` are those of its command line."""

    def __init__(self, settings: Settings, serving: Serving, flags: Mapping[str, Any], sharing: Sharing) -> None:
        self.terms = terms_of(settings)
        self._source = options_of(settings, store_of(settings)).source
        self._serving = serving
        self._sharing = sharing
        self._secrets = _secrets(settings, serving)
        self._flags = {name: value for name, value in flags.items() if value not in (None, False, ())}
        remove_left(older=2 * serving.scan_seconds + _DAY)

    def resolve(self, job: Job) -> str:
        """The digest that the name means now, asked of the registry with our own credentials; :class:`Failed`."""
        if job.digest:
            return job.digest
        from scanner.sources.registry import resolve  # noqa: PLC0415 - slow to import

        try:
            return str(resolve(image_of(job), options=self._source))
        except CgscanError as problem:
            raise Failed(str(problem), passing=may_pass(problem)) from problem

    def scan(self, job: Job, digest: str, beat: Beat) -> Scanned:
        """Scan in a process of its own; :class:`Failed`, or what ``beat`` raises."""
        with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder, self._sharing.desk() as desk:
            answer = Path(folder) / "answer.json"
            errand = Errand(
                image=f"{job.registry}/{job.repository}{f':{job.tag}' if job.tag else ''}@{digest}",
                flags=self._flags,
                answer=str(answer),
                memory=self._serving.scan_memory,
                parent=os.getpid(),
                desk=desk.fileno(),
                patience=self._sharing.patience,
            )
            with (Path(folder) / "said").open("w+b") as said:
                status = self._run(errand, said, beat)
                said.seek(max(0, said.tell() - _ENOUGH))
                return _answer(answer, status, said.read().decode("utf-8", "replace"))

    def tidy(self) -> None:
        """Bound what is shared."""
        self._sharing.tidy()

    def _run(self, errand: Errand, said: Any, beat: Beat) -> int:
        command = [sys.executable, "-m", "scanner.service.child"]
        until = time.monotonic() + self._serving.scan_seconds
        environment = {name: value for name, value in os.environ.items() if name not in self._secrets}
        process = subprocess.Popen(  # noqa: S603 - ourselves
            command, stdin=subprocess.PIPE, stdout=said, stderr=said, env=environment, pass_fds=(errand.desk,)
        )
        try:
            assert process.stdin is not None
            with process.stdin as stdin:
                stdin.write(errand.encoded())
            while True:
                beat()
                try:
                    return process.wait(_LOOK)
                except subprocess.TimeoutExpired:
                    if time.monotonic() > until:
                        reason = f"has taken longer than {self._serving.scan_seconds:g} seconds (serve.scan_seconds)"
                        raise Failed(reason, passing=True) from None
        except BrokenPipeError:
            return process.wait()
        finally:
            process.kill()
            process.wait()


def _secrets(settings: Settings, serving: Serving) -> frozenset[str]:
    """The variables with the service's own secrets, which a scan has no use for; not those that an index needs too."""
    ours = {DATABASE, QUEUE, *(token.token_env for token in serving.tokens)}
    ours |= {name for source in settings.webhooks for name in (*source.secret_env, source.username_env)}
    theirs = {name for one in settings.indexes for name in (one.username_env, one.password_env, one.token_env)}
    return frozenset(name for name in ours - theirs if name is not None)


def _answer(place: Path, status: int, said: str) -> Scanned:
    try:
        answer = json.loads(place.read_bytes())
    except (OSError, ValueError) as problem:
        last = said.strip().splitlines()[-1:] or ["it said nothing"]
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        raise Failed(f"the scan's process {how}: {last[0][:300]}", passing=True) from problem
    if "problem" in answer:
        kinds = {name: answer.get(name, False) for name in ("no_image", "absent")}
        raise Failed(answer["problem"], passing=answer["may_pass"], **kinds)
    reports = [decoded(Report, value, Reading(strict=False)) for value in answer["reports"]]
    return Scanned(
        reports=tuple(report for report in reports if report is not None),
        answers=answer["answers"],
        layers=answer["layers"],
        remembered=answer["remembered"],
        read=answer["bytes"],
    )
