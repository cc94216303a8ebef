"""One opener for all that may hold Python code; what goes wrong with one file is that file's finding."""

from __future__ import annotations

from typing import BinaryIO

from scanner.errors import UntrustedContent
from scanner.inventories.frozen import describe_program
from scanner.inventories.opening import Opening, unopened
from scanner.inventories.suspicion import Suspect
from scanner.inventories.tarred import open_tar
from scanner.inventories.zipped import open_zip
from scanner.inventory import Inventory


def open_suspect(suspect: Suspect, file: BinaryIO, opening: Opening) -> Inventory | str | None:
    """The inventory of an archive; what a frozen program is; None for what holds nothing of Python's."""
    kept = opening.budget.kept
    try:
        match suspect:
            case Suspect.ZIP:
                return open_zip(file, opening)
            case Suspect.TAR:
                return open_tar(file, opening)
            case Suspect.PROGRAM | Suspect.COMPILED:
                return describe_program(file, opening)
    except UntrustedContent as problem:
        opening.budget.kept = kept
        return unopened(problem.message)
    except OSError as problem:
        opening.budget.kept = kept
        return unopened(f"the temporary file could not be read: {problem.strerror}")
