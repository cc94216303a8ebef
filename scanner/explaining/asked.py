"""Which distribution is asked for: a project's name, and where it is meant."""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from packaging.utils import NormalizedName, canonicalize_name

from scanner.distribution import Finding
from scanner.errors import UsageError
from scanner.explanation import Account
from scanner.report import DistributionLine

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?", re.ASCII)
_SHOWN: Final = 3
_INFO: Final = (".dist-info", ".egg-info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A normalised name (PEP 503), and the folder that it is to lie in, None for all of them."""

    name: NormalizedName
    environment: str | None = None

    @classmethod
    def of(cls, name: str, environment: str | None = None) -> Self:
        """Read what a person writes; :class:`scanner.errors.UsageError` for what is no name or no path."""
        if not _NAME.fullmatch(name):
            raise UsageError(f"{ascii(name)[:80]} is no project's name", hint="write it as pip does, without a version")
        if environment is not None and not environment.startswith("/"):
            hint = "environments are paths of the target, as the table has them"
            raise UsageError(f"--environment: {ascii(environment)[:80]} is no absolute path", hint=hint)
        return cls(
            name=canonicalize_name(name),
            environment=posixpath.normpath("/" + environment.lstrip("/")) if environment is not None else None,
        )

    def means(self, line: DistributionLine) -> bool:
        """Whether a line is asked for."""
        return line.name == self.name and self.environment in (None, *_places(line))

    def concerns(self, finding: Finding, accounts: Sequence[Account]) -> bool:
        """Whether a finding is about one of the distributions: about its metadata, about one of its files."""
        for account in accounts:
            location = account.distribution.location
            if finding.path == location or finding.path.startswith(location + "/"):
                return True
            if any(file.path == finding.path and file.installed is not None for file in account.files):
                return True
        return self._names(finding) and any(_folder(finding.path) in _places(one.distribution) for one in accounts)

    def _names(self, finding: Finding) -> bool:
        """Whether its path is that of other metadata of the same project."""
        stem, _, suffix = finding.path.rpartition("/")[2].rpartition(".")
        return f".{suffix}" in _INFO and canonicalize_name(stem.partition("-")[0]) == self.name


def not_there(target: str, asked: Asked, lines: Sequence[DistributionLine]) -> UsageError:
    """The error where nothing is meant, with what perhaps was."""
    places = sorted({_places(line)[0] for line in lines if line.name == asked.name})
    if places:
        more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
        where = f"it is in {', '.join(places[:_SHOWN])}{more}"
        return UsageError(f"{target}: there is no {asked.name} in {asked.environment}", hint=where)
    names = sorted({line.name for line in lines})
    near = difflib.get_close_matches(asked.name, names, n=_SHOWN)
    hint = f"did you mean {' or '.join(near)}?" if near else "'cgscan scan' lists what there is"
    if not names:
        hint = "there is no distribution in it at all"
    return UsageError(f"{target}: there is no distribution {asked.name}", hint=hint)


def _places(line: DistributionLine) -> tuple[str, ...]:
    """Where one may say that it lies: its environment, else the folder it is in; and its own path."""
    return (line.environment or _folder(line.location), line.location)


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "/"
