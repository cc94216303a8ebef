"""Which lock file it is, and its entries. Told by what stands in it: PDM's and PEP 751's may have their own names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import Final

from scanner.errors import CgscanError, ConfigError, LimitExceeded, UsageError
from scanner.limits import Limits
from scanner.lockfile import Lock
from scanner.lockfiles.json_ import read_json
from scanner.lockfiles.nodes import Table
from scanner.lockfiles.pdm import read_pdm
from scanner.lockfiles.pipenv import read_pipenv
from scanner.lockfiles.poetry import read_poetry
from scanner.lockfiles.pylock import read_pylock
from scanner.lockfiles.requirements import read_requirements
from scanner.lockfiles.toml import read_toml
from scanner.lockfiles.uv import read_uv

_BOM: Final = "\ufeff"
_KNOWN: Final = "requirements.txt, uv.lock, poetry.lock, pdm.lock, Pipfile.lock and pylock.toml are read"
_LINES: Final = (".txt", ".in", ".pip", "")
"""Suffixes of requirements files."""
_NAMES: Final = ("requirements", "constraints")
"""How their names begin, whatever the suffix: ``requirements.lock``."""


def read_lock(name: str, data: bytes, *, limits: Limits) -> Lock:
    """The entries of a lock file. ``name`` is its path, for errors and to tell requirements files.

    Raises :class:`CgscanError` with one line for what is none, or is larger or deeper than the limits.
    """
    if len(data) > limits.lock:
        raise LimitExceeded(f"{name}: longer than {limits.lock} bytes (limit lock)", hint=_more("lock"))
    try:
        whole = data.decode()
    except UnicodeDecodeError as problem:
        raise UsageError(f"{name}: no text in UTF-8") from problem
    text = whole.removeprefix(_BOM)
    try:
        lock = _read(name, text, limits)
    except LimitExceeded as problem:
        raise LimitExceeded(f"{name}: {problem.message}", hint=_more("lock_values, lock_depth")) from problem
    except ConfigError as problem:
        raise ConfigError(f"{name}: cannot be read", faults=problem.faults, hint=_KNOWN) from problem
    except CgscanError as problem:
        raise UsageError(f"{name}: {problem.message}", hint=problem.hint or _KNOWN) from problem
    return replace(lock, marked=text != whole)


def _more(limit: str) -> str:
    return f"a larger one is read with --limit ({limit})"


def _read(name: str, text: str, limits: Limits) -> Lock:
    path = PurePath(name)
    if path.suffix in _LINES or path.name.startswith(_NAMES):
        return read_requirements(text, limits=limits)
    if text.lstrip().startswith("{"):
        root = read_json(text, limits=limits)
        if "_meta" in root.pairs:
            return read_pipenv(root, text)
        raise UsageError("a JSON file that is no lock file")
    return _toml(read_toml(text, limits=limits), text)


def _toml(root: Table, text: str) -> Lock:
    metadata = root.table("metadata")
    if "lock-version" in root.pairs:
        return read_pylock(root, text)
    if "lock_version" in metadata.pairs:
        return read_pdm(root, text)
    if "hashes" in metadata.pairs:
        raise UsageError("of Poetry before 1.0", hint="a newer Poetry writes it anew with 'poetry lock'")
    if "content-hash" in metadata.pairs or "lock-version" in metadata.pairs:
        return read_poetry(root, text)
    if root.pairs.get("version") is not None and "requires-python" in root.pairs:
        return read_uv(root, text)
    raise UsageError("a TOML file that is no lock file")
