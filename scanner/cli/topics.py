"""What is the same for all commands: exit statuses and environment variables, as rows of tables.

``cgscan help``, man pages and the tables of ``docs/`` are made of these rows, and these of what the code itself uses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

Rows: TypeAlias = list[tuple[str, str]]


def exit_statuses() -> Rows:
    """Status and meaning."""
    from scanner.status import SENTENCES

    return [(str(int(status)), said) for status, said in SENTENCES.items()]


def environment() -> Rows:
    """Variable and purpose: those of settings first, then the others."""
    from scanner.config import SETTINGS
    from scanner.variables import KNOWN

    own = [(setting.variable, f"{setting.flag}, where it is not given") for setting in SETTINGS]
    return [*own, *((known.name, known.purpose) for known in KNOWN)]


TOPICS: Final[dict[str, tuple[str, Callable[[], Rows]]]] = {
    "exit-status": ("What the exit status of cgscan says", exit_statuses),
    "environment": ("Environment variables that change what cgscan does", environment),
}
"""By name: title and rows."""
NOTES: Final = {
    "exit-status": "With several targets it is the worst. Help of a command says what it means there.",
    "environment": "The command line beats them, and they beat cgscan.yaml. Lists are split at white space; switches "
    "are 1, true, yes, on or 0, false, no, off; an empty variable is not set. Names of variables with credentials of "
    "indexes stand in cgscan.yaml.",
}
"""A paragraph below the rows."""
