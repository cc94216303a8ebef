"""What indexes have answered in a scan, as fingerprints: all that a verdict rests on and that may change.

A fingerprint is of what an index lists of a project: file names, digests, sizes, and whether something is signed. Links
are left out, which some servers make anew with every answer, and so is the order. It is the same on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeAlias

from scanner.index import Index, IndexFile, Recounting

Answers: TypeAlias = dict[str, dict[str, str]]
"""By an index's name and a project: the fingerprint of what it answered."""


def fingerprint(files: Sequence[IndexFile]) -> str:
    """Hex sha256 of what an index lists of a project."""
    rows = sorted(map(repr, map(told, files)))
    return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogatepass")).hexdigest()


def told(file: IndexFile) -> tuple[object, ...]:
    """A file of a page, but for links that are made anew with every answer."""
    return (*file._replace(url="", provenance=None), file.provenance is None)


def answers_of(indexes: Sequence[Index]) -> Answers:
    """What the indexes of a scan have answered; one that has failed, or does not say, is left out."""
    asked = {index.name: index.asked() for index in indexes if isinstance(index, Recounting)}
    return {
        name: {project: fingerprint(files) for project, files in answers.items()}
        for name, answers in asked.items()
        if answers is not None
    }
