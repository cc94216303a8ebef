"""Which files of the indexes were considered, and why one explains the distribution and the others do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from packaging.utils import InvalidSdistFilename, parse_sdist_filename
from packaging.version import InvalidVersion, Version

from scanner.candidates import Question
from scanner.comparison import Compared
from scanner.distribution import Origin
from scanner.environment import fits
from scanner.explaining.sides import counts_of, tags_of
from scanner.explanation import Answer, CandidateLine
from scanner.index import Index, IndexFile, Role
from scanner.lines import seen_line
from scanner.match import Fit


def answers_of(compared: Compared) -> tuple[Answer, ...]:
    """What each index that has answered lists."""
    question = compared.gathering.question
    return tuple(
        Answer(
            index=index.name,
            role=index.role,
            listed=len(files),
            of_version=sum(_is_of_version(file, question) for file in files),
        )
        for index, files in compared.gathering.listing.files
    )


def candidates_of(compared: Compared, chosen: Fit | None) -> tuple[CandidateLine, ...]:
    """Every file of this version, upstream's first: the order in which they are asked for. Then earlier ones."""
    return (*_lines(compared, chosen), *_earlier_lines(compared, chosen))


def _earlier_lines(compared: Compared, chosen: Fit | None) -> Iterator[CandidateLine]:
    """Wheels that are not listed any more; of a wheel file, the one whose bytes it has."""
    indexes = {index.name: index for index, _ in compared.gathering.listing.files}
    fits = list(compared.fits)
    if chosen is not None and not any(_is(fit, chosen) for fit in fits):
        fits.append(chosen)
    for fit in fits:
        candidate = fit.candidate
        if candidate.seen is not None and candidate.index in indexes:
            reason = _reason(candidate.file, fit, compared, chosen) or ""
            line = _line(indexes[candidate.index], candidate.file, fit, chosen=_is(fit, chosen), reason=reason)
            seen = seen_line(candidate.seen)
            when = f"not listed any more, last seen {seen.last}"
            yield replace(line, seen=seen, reason=f"{line.reason}; {when}")


def _lines(compared: Compared, chosen: Fit | None) -> Iterator[CandidateLine]:
    laid = {(fit.candidate.index, fit.candidate.file.url): fit for fit in compared.fits}
    if chosen is not None:
        laid[chosen.candidate.index, chosen.candidate.file.url] = chosen
    first: dict[str, str] = {}
    for role in (Role.UPSTREAM, Role.CHAINGUARD):
        for index, files in compared.gathering.listing.files:
            for file in files if index.role is role else ():
                if not _is_of_version(file, compared.gathering.question):
                    continue
                fit = laid.get((index.name, file.url))
                digest = str(file.sha256 or file.url)
                reason = _reason(file, fit, compared, chosen) or _not_read(first.get(digest))
                yield _line(index, file, fit, chosen=fit is not None and _is(fit, chosen), reason=reason)
                first.setdefault(digest, f"{file.filename} of {index.name}")


def _line(index: Index, file: IndexFile, fit: Fit | None, *, chosen: bool, reason: str) -> CandidateLine:
    sha256 = (fit.candidate.contents.sha256 if fit else None) or file.sha256
    return CandidateLine(
        index=index.name,
        role=index.role,
        filename=file.filename,
        sha256=str(sha256) if sha256 else None,
        url=file.shown_url,
        tags=tags_of(file.filename),
        origin=fit.candidate.origin if fit else None,
        evidence=fit.candidate.evidence if fit else None,
        chosen=chosen,
        reason=reason,
        files=counts_of(fit) if fit else None,
    )


def _is(fit: Fit, chosen: Fit | None) -> bool:
    return chosen is not None and (fit.candidate.index, fit.candidate.file.url) == (
        chosen.candidate.index,
        chosen.candidate.file.url,
    )


def _reason(file: IndexFile, fit: Fit | None, compared: Compared, chosen: Fit | None) -> str | None:
    """Why a wheel that was laid over the files was chosen or not; why another was not laid over them at all."""
    if file.wheel is None:
        return "a source archive: there are no installed files to compare with"
    if fit is None:
        return None if _suits(file, compared.gathering.question) else _unsuited(compared.gathering.question)
    if _is(fit, chosen):
        return f"the files are compared with this one: {_standing(fit)}"
    unproved = ", and nothing says that Chainguard built it" if fit.candidate.origin is Origin.UNKNOWN else ""
    elsewhere = "" if _suits(file, compared.gathering.question) else f"; {_unsuited(compared.gathering.question)}"
    return f"{_standing(fit)}{unproved}{elsewhere}"


def _standing(fit: Fit) -> str:
    if fit.complete:
        return f"all {fit.matched} files are there with its bytes"
    parts = [f"{fit.modified} with other bytes"] if fit.modified else []
    parts += [f"{fit.missing} not there"] if fit.missing else []
    return f"{fit.matched} files there with its bytes, {', '.join(parts)}"


def _not_read(same: str | None) -> str:
    if same is not None:
        return f"the same bytes as {same}, and so whose that is"
    return "could not be read"


def _unsuited(question: Question) -> str:
    python = question.environment.python
    interpreter = f"Python {python[0]}.{python[1]}" if python else "this interpreter"
    return f"not for {interpreter} on {question.platform or 'this platform'}{' with musl' if question.musl else ''}"


def _suits(file: IndexFile, question: Question) -> bool:
    tags = file.wheel.tags if file.wheel else ()
    return fits(tags, question.environment, question.platform, musl=question.musl)


def _is_of_version(file: IndexFile, question: Question) -> bool:
    if file.wheel is not None:
        return question.is_for(file.wheel)
    version = _sdist_version(file.filename)
    return version is not None and question.parsed in (None, version)


def _sdist_version(filename: str) -> Version | None:
    try:
        return parse_sdist_filename(filename)[1]
    except (InvalidSdistFilename, InvalidVersion, ValueError):
        return None
