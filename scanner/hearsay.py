"""What installers noted and folders are called: claims that are said beside a verdict, and never make one better.

``direct_url.json`` and ``provenance_url.json`` are as forgeable as RECORD. That something was installed from a
directory, or from version control, is believed where no index explains its files, or where the installed RECORD has
other files than the wheel that comes closest: then that wheel is not what was installed. A file whose bytes are not
RECORD's was changed afterwards, and no note takes that back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from scanner.candidates import Gathering
from scanner.distribution import Identity, Installed, Kind, WheelFile
from scanner.match import Explanation, Fit, RowFit, State, Unexplained, explaining, fit_part
from scanner.record import landing
from scanner.verdict import Verdict

_SAYING_NOTHING: Final = frozenset({"INSTALLER", "REQUESTED"})
Listed = Mapping[str, bytes | None]


def believed_local(explanation: Explanation, one: Installed, listed: Listed | None) -> Explanation:
    """The explanation of a local install: none, if what explains it is not what was installed."""
    fits = explaining(explanation)
    if one.local is None or not fits or not all(_is_of_other_files(fit, one, listed) for fit in fits):
        return explanation
    why = f"what is there is not all of {fits[0].candidate.file.filename}, and no installer listed the rest"
    return Unexplained(code_of=fits[0], from_source=False, why=why)


def _is_of_other_files(fit: Fit, one: Installed, listed: Listed | None) -> bool:
    """Whether RECORD has other files than the wheel where the target has."""
    rows = [row for row in fit.rows if row.state in (State.MISSING, State.MODIFIED) and _is_in_environment(row)]
    if listed is None:
        # nobody installs an egg-info from a wheel; without both there is no other witness
        return bool(rows) and not one.location.endswith(".dist-info")
    said = [(row, listed.get(fit_part(fit, row))) for row in rows]
    if any(row.state is State.MODIFIED and (row.file is None or row.file.sha256 != digest) for row, digest in said):
        return False
    return any(digest != row.expected for row, digest in said)


def _is_in_environment(row: RowFit) -> bool:
    """RECORD names the others by where they are, not by where the wheel has them."""
    return landing(row.member).scheme == "lib"


def remarked(verdict: Verdict, one: Installed, gathering: Gathering) -> Verdict:
    """The verdict with what the claims say, where they agree or disagree with it."""
    remarks = [*_of_emptiness(one), *_of_folder(one), *_of_archive(verdict, one, gathering)]
    if one.local is not None and verdict.fit is not None:
        remarks.append(f"its installer noted: {one.local}")
    return replace(verdict, reason="; ".join([verdict.reason, *remarks])) if remarks else verdict


def with_word_of_cache(verdict: Verdict, one: Installed | WheelFile) -> Verdict:
    """The verdict with what a tool's cache says of where it has something from: a URL, which proves nothing."""
    return replace(verdict, reason=f"{verdict.reason}; the cache says: {one.said}") if one.said else verdict


def _of_emptiness(one: Installed) -> list[str]:
    """Metadata that were removed, or never written to their end: importlib finds no version in them."""
    if one.files or not one.documents.keys() <= _SAYING_NOTHING:
        return []
    return ["its metadata are broken: nothing in them says what it is, only the folder's name does"]


def _of_folder(one: Installed) -> list[str]:
    if one.by_folder is None:
        return []
    return [f"its metadata say {Identity(name=one.name, version=one.version)}, its folder says {one.by_folder}"]


def _of_archive(verdict: Verdict, one: Installed, gathering: Gathering) -> list[str]:
    """Whether the archive that the installer noted is the one that explains the files."""
    noted, who = one.archive_sha256, "the cache" if one.kind is Kind.CACHED else "its installer"
    if noted is None:
        return []
    if verdict.fit is not None:
        candidate = verdict.fit.candidate
        if noted in (candidate.contents.sha256, candidate.file.sha256):
            return [f"{who} noted the sha256 of this wheel"]
    for index, files in gathering.listing.files:
        for file in files:
            if file.sha256 == noted:
                return [f"{who} noted the sha256 of {file.filename} of {index.name}"]
    return [f"{who} noted an archive that no index lists (sha256 {noted.hex[:12]}…)"]
