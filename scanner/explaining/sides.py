"""The best wheel of each side, and which of its members tell its build from the other's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from scanner.comparison import Compared
from scanner.distribution import Origin
from scanner.explanation import Side
from scanner.lines import seen_line
from scanner.match import Fit, State, Telling, telling
from scanner.report import FileCounts

CHAINGUARD, UPSTREAM = "chainguard", "upstream"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A wheel laid over the files, and what of it tells."""

    fit: Fit
    telling: Telling

    @property
    def origin(self) -> Origin:
        """Whose build it is."""
        return self.fit.candidate.origin


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Chainguard's best wheel and PyPI's. ``subject`` names the side that the verdict compares the files with."""

    chainguard: Column | None = None
    upstream: Column | None = None
    subject: str | None = None

    @classmethod
    def of(cls, compared: Compared, shown: Fit | None) -> Sides:
        """The best fits of both sides; ``shown`` is the verdict's, which is the best of its side."""
        fits = [fit for fit in compared.fits if fit.candidate.seen is None]
        if shown is not None and not any(_is_same(fit, shown) for fit in fits):
            fits.append(shown)
        told = telling(fits, compared.circumstances)
        columns = [Column(fit=fit, telling=tells) for fit, tells in zip(fits, told, strict=True)]
        ours = [one for one in columns if one.origin is Origin.CHAINGUARD]
        ours = ours or [one for one in columns if one.origin is Origin.UNKNOWN]
        theirs = [one for one in columns if one.origin is Origin.UPSTREAM]
        if shown is not None and shown.candidate.origin is Origin.UNKNOWN:
            ours = [one for one in columns if one.origin is Origin.UNKNOWN]
        sides = cls(chainguard=_best(ours, shown), upstream=_best(theirs, shown))
        return replace(sides, subject=sides._subject_of(shown))

    def columns(self) -> Iterator[tuple[str, Column]]:
        """The sides that have a wheel, by name."""
        for name, column in ((CHAINGUARD, self.chainguard), (UPSTREAM, self.upstream)):
            if column is not None:
                yield name, column

    def named(self, name: str | None) -> Column | None:
        """One side."""
        return dict(self.columns()).get(name or "")

    def other(self) -> Column | None:
        """The side that the files are not compared with."""
        return self.named(UPSTREAM if self.subject == CHAINGUARD else CHAINGUARD)

    def _subject_of(self, shown: Fit | None) -> str | None:
        if shown is not None:
            return UPSTREAM if shown.candidate.origin is Origin.UPSTREAM else CHAINGUARD
        ranked = sorted(self.columns(), key=lambda side: side[1].fit.rank)
        return ranked[0][0] if ranked else None


def _is_same(one: Fit, other: Fit) -> bool:
    return (one.candidate.index, one.candidate.file.url) == (other.candidate.index, other.candidate.file.url)


def _best(columns: Sequence[Column], shown: Fit | None) -> Column | None:
    return min(columns, key=lambda one: (shown is None or not _is_same(one.fit, shown), *one.fit.rank), default=None)


def side_of(column: Column | None) -> Side | None:
    """What is said of a side's wheel."""
    if column is None:
        return None
    candidate = column.fit.candidate
    sha256 = candidate.contents.sha256 or candidate.file.sha256
    return Side(
        index=candidate.index,
        filename=candidate.file.filename,
        sha256=str(sha256) if sha256 else None,
        url=candidate.file.shown_url,
        origin=candidate.origin,
        evidence=candidate.evidence,
        proved=candidate.contents.proved,
        tags=tags_of(candidate.file.filename),
        discriminating=len(column.telling.apart),
        speaking=len(column.telling.speak),
        files=counts_of(column.fit),
        seen=seen_line(candidate.seen) if candidate.seen else None,
    )


def counts_of(fit: Fit) -> FileCounts:
    """How the wheel's files stand."""
    return FileCounts(
        matched=fit.matched,
        missing=fit.missing,
        modified=fit.modified,
        generated=fit.generated + fit.count(State.GENERATED),
    )


def tags_of(filename: str) -> str:
    """The tags of a wheel's file name as they stand there; empty for what is no wheel."""
    return "-".join(filename.removesuffix(".whl").split("-")[-3:]) if filename.endswith(".whl") else ""
