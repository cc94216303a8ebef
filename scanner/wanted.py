"""What a snapshot is to have: projects and versions out of reports, requirements, lock files, names, a proxy's content.

A report says for which interpreter and platform a distribution was installed; a list and a name say neither, so they
want the wheels of every interpreter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from scanner.errors import ConfigError, UsageError
from scanner.image import Platform
from scanner.lockdisk import read_locks
from scanner.report import Integrity, Origin, Report
from scanner.reportfile import read_reports
from scanner.wheel import WheelName

if TYPE_CHECKING:
    from packaging.tags import Tag

    from scanner.limits import Limits
    from scanner.manager import Retrieved

_NOT_ASKED_FOR: Final = frozenset({Origin.OS, Origin.CONDA})
_LOCKS: Final = frozenset({"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"})
_NOT_READ: Final = frozenset({"conda-lock.yml", "pixi.lock", "pyproject.toml"})
_SAYS_WHERE: Final = re.compile(
    r"(?:-i|-f|--(?:index-url|extra-index-url|find-links|trusted-host|no-index|pre|prefer-binary|require-hashes"
    r"|only-binary|no-binary))(?=[\s=]|$)"
)
"""Options of requirement files that name no project. Where indexes are is said on the command line."""
_OPTION: Final = re.compile(r"--?[a-z-]{1,30}(?=[\s=]|$)")
_LINUX: Final = re.compile(r"(?:many|musl)?linux(?:_\d+_\d+|\d+)?_(.+)")
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_HASHES: Final = re.compile(r"\s--hash[=\s]\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A project, and the wheels of it that are needed: those of a version (else of the newest) that fit.

    ``environment`` is the path of one, for its interpreter; empty for every interpreter. ``whole`` are file names of
    wheels that must be read whole.
    """

    project: NormalizedName
    version: Version | None = None
    environment: str = ""
    platform: Platform | None = None
    whole: frozenset[str] = frozenset()


def wants_of_words(words: Iterable[str], platform: Platform | None) -> Iterator[Want]:
    """``NAME`` or ``NAME==VERSION`` as written on a command line; :class:`UsageError` for anything else."""
    for word in words:
        try:
            yield _want(word, platform)
        except ValueError as problem:
            raise UsageError(f"{word[:200]!r}: {problem}", hint="write NAME or NAME==VERSION") from problem


def wants_of_requirements(path: Path, platform: Platform | None, *, limits: Limits) -> list[Want]:
    """The projects that a requirements file pins with ``==``; :class:`ConfigError` with every line that does not."""
    if path.name in _LOCKS or (path.name.startswith("pylock.") and path.suffix == ".toml"):
        raise UsageError(f"{path}: no requirements file", hint=f"name it with --lock {path.name}")
    if path.name in _NOT_READ:
        raise UsageError(
            f"{path}: not read, lines of a requirements file are",
            hint="write one out of it, for example with 'uv export --format requirements-txt'",
        )
    wants: list[Want] = []
    faults: list[str] = []
    for number, line in _lines(_text(path, limits)):
        try:
            want = _want(line, platform)
            if want.version is None:
                faults.append(f"line {number}: {want.project} is not pinned with ==")
            wants.append(want)
        except ValueError as problem:  # the line is not shown: it may hold a password
            faults.append(f"line {number}: {problem}")
    if faults:
        raise ConfigError(f"{path}: cannot be pulled as it is", faults=faults, hint="pin every project: NAME==VERSION")
    return wants


def wants_of_lock(path: Path, platform: Platform | None, *, limits: Limits) -> list[Want]:
    """The versions that a lock file pins; what is from no index is left out.

    Raises :class:`ConfigError` with every entry that is pinned to no version, and what :func:`read_locks` raises.
    """
    wants: list[Want] = []
    faults: list[str] = []
    for name, lock, _ in read_locks([str(path)], limits=limits):
        for entry in lock.entries:
            if entry.apart is None and entry.version is None:
                faults.append(f"{name}: line {entry.line}: {entry.project} is pinned to no version")
            elif entry.apart is None:
                wants.append(Want(project=entry.project, version=entry.version, platform=platform))
    if faults:
        raise ConfigError(f"{path}: cannot be pulled as it is", faults=faults, hint="lock every project: NAME==VERSION")
    return wants


def wants_of_retrieved(entries: Iterable[Retrieved]) -> Iterator[Want]:
    """What a proxy holds: the version of each file, for the interpreter and platform that a wheel is for."""
    for entry in entries:
        version = _version(entry.version)
        if version is not None:
            tags = wheel.tags if (wheel := WheelName.parse(entry.filename)) else frozenset()
            yield Want(project=entry.project, version=version, environment=_environment(tags), platform=_platform(tags))


def _environment(tags: Iterable[Tag]) -> str:
    """The place of packages of the one interpreter that a wheel is for; empty where it is for several."""
    pythons = {(tag.interpreter, tag.abi.removesuffix("t").removesuffix("m")) for tag in tags}
    found = re.fullmatch(r"cp(\d)(\d+)", next(iter(pythons))[0]) if len(pythons) == 1 else None
    if found is None or any(abi != interpreter for interpreter, abi in pythons):
        return ""
    return f"/usr/lib/python{found[1]}.{found[2]}/site-packages"


def _platform(tags: Iterable[Tag]) -> Platform | None:
    """The Linux that a wheel is for; None for every one, also where it is for another system: images have Linux."""
    machines = {found[1] for tag in tags if (found := _LINUX.fullmatch(tag.platform))}
    known = [architecture for machine, architecture in _ARCHITECTURES.items() if machine in machines]
    return Platform("linux", known[0]) if len(machines) == len(known) == 1 else None


def wants_of_report(path: Path, *, limits: Limits) -> list[Want]:
    """What the distributions of a report (``-o json``) were compared with; several reports may stand in one file."""
    return [want for report in read_reports(path, limits=limits) for want in _of_report(report)]


def _of_report(report: Report) -> Iterator[Want]:
    platform = report.target.platform
    for line in report.distributions:
        if line.origin in _NOT_ASKED_FOR:
            continue
        match = line.match if line.integrity is Integrity.MODIFIED else None
        yield Want(
            project=canonicalize_name(line.name),
            version=_version(line.version),
            environment=line.environment or "",
            platform=Platform.parse(platform) if platform else Platform.of_host(),
            whole=frozenset({match.filename} if match else ()),
        )


def _want(text: str, platform: Platform | None) -> Want:
    if text.startswith("-"):
        option = _OPTION.match(text)
        raise ValueError(f"the option {option[0] if option else ''} is not read".replace("  ", " "))
    try:
        requirement = Requirement(text)
    except InvalidRequirement as problem:
        raise ValueError("no requirement") from problem
    if requirement.url:
        raise ValueError("a requirement with a URL is no project of an index")
    pins = list(requirement.specifier)
    if len(pins) > 1 or any(pin.operator not in ("==", "===") or "*" in pin.version for pin in pins):
        raise ValueError(f"{requirement.name} is not pinned with ==")
    version = _version(pins[0].version) if pins else None
    if pins and version is None:
        raise ValueError(f"{requirement.name} is pinned to what is no version")
    return Want(project=canonicalize_name(requirement.name), version=version, platform=platform)


def _version(text: object) -> Version | None:
    try:
        return Version(text) if isinstance(text, str) else None
    except InvalidVersion:
        return None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Requirements with the number of their first line; continued ones as one, without comments and hashes."""
    start, joined = 0, ""
    for number, line in enumerate([*text.splitlines(), ""], 1):
        start = start if joined else number
        joined += _COMMENT.sub("", line)
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        requirement, joined = _HASHES.sub("", joined).strip(), ""
        if requirement and not _SAYS_WHERE.match(requirement):
            yield start, requirement


def _text(path: Path, limits: Limits) -> str:
    """A whole file, no longer than the limit ``kept_total``."""
    try:
        with path.open("rb") as file:
            data = file.read(limits.kept_total + 1)
    except OSError as problem:
        raise UsageError(f"{path}: cannot be read: {problem.strerror}") from problem
    if len(data) > limits.kept_total:
        raise UsageError(f"{path}: longer than {limits.kept_total} bytes (limit kept_total)")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise UsageError(f"{path}: no text in UTF-8") from problem
