"""Every exception that cgscan raises on purpose.

::

    CgscanError
    ├── UsageError                   a TARGET, option or value that makes no sense
    ├── ConfigError                  a configuration file with faults; all of them, with their paths
    ├── TargetError                  the target could not be opened
    │   ├── TargetNotFound           nothing answers to that name; lists what was tried
    │   ├── AccessDenied             it is there, these credentials may not read it
    │   └── UnsupportedTarget        it is there and is no image or tree that cgscan reads
    │       └── NoImage              an artifact of another kind: a chart, a signature, a report
    ├── UntrustedContent             the rest of the target cannot be trusted: the scan ends
    │   ├── DigestMismatch           bytes that are not those that were promised
    │   ├── TruncatedStream          a stream that ends before its end
    │   ├── MalformedArchive         a layer or archive that is none
    │   └── LimitExceeded            more than the limits allow
    ├── DatabaseUnreadable           a package database in the target that is none, or a damaged one
    ├── DatabaseFailed               the service's database has not done what was asked
    ├── NotDeleted                   an entry of a cache was left alone: none, in use, not to be written
    └── IndexFailure                  one question to an index has no answer
        ├── IndexUnavailable         unreachable, refused, timed out, offline
        └── WheelUnreadable          the answer came and is no such wheel

Exit statuses are the command line's business (:mod:`scanner.cli`): every one of these is 2,
but for ``IndexFailure``, which the pipeline turns into the origin ``unchecked``, ``DatabaseUnreadable``, which
is the finding ``unreadable``, and ``NotDeleted``, which is one line of a purge.
"""

from __future__ import annotations

from collections.abc import Sequence


class CgscanError(Exception):
    """One line that says what, where and why; ``hint`` says what to do about it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(CgscanError):
    """A TARGET, option or value that makes no sense."""


class ConfigError(CgscanError):
    """A configuration that cannot be used; ``faults`` has one line for each place."""

    def __init__(self, message: str, *, faults: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__("; ".join([message, *faults]), hint=hint)
        self.faults = tuple(faults)


class TargetError(CgscanError):
    """The target could not be opened."""


class TargetNotFound(TargetError):
    """Nothing answers to that name; ``attempts`` are (where, why not) pairs."""

    def __init__(self, message: str, *, attempts: Sequence[tuple[str, str]] = (), hint: str | None = None) -> None:
        tried = "; ".join(f"{where}: {why}" for where, why in attempts)
        super().__init__(f"{message} (tried {tried})" if tried else message, hint=hint)
        self.attempts = tuple(attempts)


class AccessDenied(TargetError):
    """The target is there, these credentials may not read it."""


class UnsupportedTarget(TargetError):
    """The target is there and is nothing that cgscan reads."""


class NoImage(UnsupportedTarget):
    """The target is an artifact of a registry that is no image: a chart, a signature, an attached report."""


class UntrustedContent(CgscanError):
    """What was read makes the rest untrustworthy; the scan ends here."""


class DigestMismatch(UntrustedContent):
    """Bytes that are not those that were promised."""


class TruncatedStream(UntrustedContent):
    """A stream that ends before its end."""


class MalformedArchive(UntrustedContent):
    """A layer or archive that is none."""


class LimitExceeded(UntrustedContent):
    """More than the limits allow; the message names the limit and its flag."""


class DatabaseUnreadable(CgscanError):
    """A package database in the target that is none, or a damaged one: a finding, the scan goes on."""


class DatabaseFailed(CgscanError):
    """The service's database has not done what was asked: not reachable, full, locked for too long."""


class NotDeleted(CgscanError):
    """An entry of a tool's cache was left alone: it is none, it is in use, or the system refuses.

    ``whole`` is true when the store as such cannot be worked with now, not just this one entry.
    """

    def __init__(self, message: str, *, whole: bool = False, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.whole = whole


class IndexFailure(CgscanError):
    """One question to an index has no answer; what needed it is ``unchecked``."""


class IndexUnavailable(IndexFailure):
    """The index could not be asked: unreachable, refused, timed out, offline.

    ``whole`` is true when the index as such is out of reach, not just this one question.
    """

    def __init__(self, message: str, *, whole: bool = False, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.whole = whole


class WheelUnreadable(IndexFailure):
    """The answer came and is no such wheel: wrong bytes, wrong CRC, no zip, no RECORD."""
