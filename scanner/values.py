"""One setting as a person writes it -> what it means.

Each ``as_…`` takes a word of the command line or what YAML made of a value in a file. It raises
ValueError (or a :class:`scanner.errors.CgscanError`) with why the value means nothing; what may be
a secret is not in that message.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, TypeAlias

from scanner.errors import ConfigError
from scanner.formats import COMPARED, EXPLAINED, FORMATS, OF_ONE_TARGET, PLANNED
from scanner.http import masked
from scanner.image import ALL_PLATFORMS, Platform
from scanner.index import Role
from scanner.indexes.kinds import KINDS
from scanner.limits import GIB, KIB, MIB, Limits
from scanner.policy import load_policy

Reader: TypeAlias = Callable[[object], Any]

MOST_JOBS: Final = 256
MOST_WORDS: Final = 64
"""Words of a command."""
NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
REPOSITORY: Final = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._:-]{0,127})?"
VARIABLE: Final = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
HOST: Final = r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?"
DOCKER_HELPER: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
SCOPES: Final = ("squashed", "all-layers")
ATTESTATIONS: Final = ("auto", "never")
LIMITS: Final = tuple(field.name for field in fields(Limits))
COUNTS: Final = frozenset(
    {
        "layers",
        "entries",
        "hidden_entries",
        "expansion_ratio",
        "depth",
        "archive_members",
        "wheel_ratio",
        "second_look_files",
        "guessed_names",
        "guessed_wheels",
        "referrers",
    }
)
"""Limits that are no sizes."""
_UNITS: Final = {"KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": 1024 * GIB}
_SWITCH: Final = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One ``FORMAT[=FILE]``; without a file it is standard output."""

    format: str
    path: Path | None = None


def as_text(value: object) -> str:
    """One line that is not empty."""
    if not isinstance(value, str) or not value.strip() or any(ord(char) < 32 for char in value):
        raise ValueError("must be a text of one line")
    return value


def as_path(value: object) -> Path:
    """A path; ``~`` is the home folder."""
    text = as_text(value)
    try:
        return Path(text).expanduser()
    except RuntimeError as problem:  # ~name of nobody
        raise ValueError(f"{shown(text)}: no such home folder") from problem


def as_switch(value: object) -> bool:
    """True or false, in YAML's words and as 1 and 0."""
    word = str(value).lower()
    if word not in _SWITCH:
        raise ValueError(f"{shown(value)} is neither true nor false")
    return _SWITCH[word]


def as_platform(value: object) -> Platform | str:
    """``OS/ARCH[/VARIANT]`` or ``all``."""
    text = as_text(value)
    return ALL_PLATFORMS if text == ALL_PLATFORMS else Platform.parse(text)


def as_scope(value: object) -> str:
    """``squashed`` or ``all-layers``."""
    if value not in SCOPES:
        raise ValueError(f"{shown(value)} is no scope; write {' or '.join(SCOPES)}")
    return str(value)


def as_attestations(value: object) -> str:
    """``auto`` or ``never``."""
    if value not in ATTESTATIONS:
        raise ValueError(f"{shown(value)} is neither {' nor '.join(ATTESTATIONS)}")
    return str(value)


def as_output(value: object, formats: Iterable[str] = tuple(FORMATS)) -> Output:
    """``FORMAT[=FILE]``. The file is below the working directory wherever it is written; ``-`` is standard output."""
    name, equals, file = as_text(value).partition("=")
    if name not in formats:
        raise ValueError(f"there is no format {shown(name)}; write one of {', '.join(formats)}")
    if equals and not file:
        raise ValueError(f"no file behind {name}=")
    return Output(format=name, path=as_path(file) if file not in ("", "-") else None)


def as_explained_output(value: object) -> Output:
    """The same for ``cgscan explain``, which has fewer formats."""
    return as_output(value, EXPLAINED)


def as_planned_output(value: object) -> Output:
    """The same for ``cgscan plan``."""
    return as_output(value, PLANNED)


def as_compared_output(value: object) -> Output:
    """The same for ``cgscan diff``. ``cyclonedx`` and ``spdx`` say what there is, and not what became of it."""
    name = as_text(value).partition("=")[0]
    if name in OF_ONE_TARGET:
        raise ValueError(f"{name} is an inventory, which has no difference; write one of {', '.join(COMPARED)}")
    return as_output(value, COMPARED)


def as_jobs(value: object) -> int:
    """A number of threads."""
    jobs = _number(value)
    if not 1 <= jobs <= MOST_JOBS or jobs != int(jobs):
        raise ValueError(f"{shown(value)} is no whole number from 1 to {MOST_JOBS}")
    return int(jobs)


def as_host(value: object) -> str:
    """``HOST[:PORT]``."""
    text = as_text(value)
    if not re.fullmatch(HOST, text):
        raise ValueError("must be HOST or HOST:PORT")
    return text.lower()


def as_hosts(value: object) -> frozenset[str]:
    """One, or a list of them."""
    return frozenset(as_host(one) for one in (value if isinstance(value, list) else [value]))


def as_coverage(value: object) -> float:
    """Percent, 0 to 100."""
    number = _number(value.removesuffix("%")) if isinstance(value, str) else value
    return float(_of_policy("min_coverage")(number))


def as_fail_on(value: object) -> str:
    """An origin, an integrity or a kind of finding."""
    _of_policy("fail_on")([value])
    return str(value)


def as_evidence(value: object) -> Any:
    """A rung of the ladder of evidence."""
    return _of_policy("min_evidence")(value)


def _of_policy(key: str) -> Reader:
    """One value of a policy, as :func:`scanner.policy.load_policy` reads it."""

    def read(value: object) -> Any:
        try:
            return getattr(load_policy({key: value}), key)
        except ConfigError as problem:
            raise ValueError(problem.faults[0].partition(": ")[2]) from problem

    return read


MAY_BE_NONE: Final = frozenset({"guessed_names"})
"""What a scan may do without: names that are asked of indexes may be somebody's secret."""


def as_limit(value: object) -> tuple[str, float]:
    """``NAME=VALUE``, or the two as a pair: a count, bytes (``64MiB``) or seconds; more than zero, but for few."""
    name, amount = value if isinstance(value, tuple) else _split(as_text(value))
    if name not in LIMITS:
        raise ValueError(f"there is no such limit{meant(str(name), LIMITS)}")
    is_size = name not in COUNTS and not name.endswith("_seconds")
    number = _in_bytes(amount) if is_size else _number(amount)
    if number < 0 or (number == 0 and name not in MAY_BE_NONE):
        raise ValueError(f"{shown(amount)} is not more than zero")
    if name.endswith("_seconds"):
        return name, number
    if number != int(number):
        raise ValueError(f"{shown(amount)} is no whole number")
    return name, int(number)


def as_size(value: object) -> int:
    """Bytes: a number, or one with a unit (``64MiB``)."""
    number = _in_bytes(value)
    if number < 0 or number != int(number):
        raise ValueError(f"{shown(value)} is no number of bytes")
    return int(number)


def _in_bytes(value: object) -> float:
    text, unit = value, 1
    if isinstance(value, str):
        suffix = next((suffix for suffix in _UNITS if value.endswith(suffix)), "")
        text, unit = value.removesuffix(suffix).strip(), _UNITS.get(suffix, 1)
    return _number(text) * unit


def _split(text: str) -> tuple[str, str]:
    name, equals, amount = text.partition("=")
    if not equals:
        raise ValueError(f"{shown(text)} is not NAME=VALUE")
    return name, amount


def _number(value: object) -> float:
    number = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool) and "_" not in str(value):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{shown(value)} is no number")
    return number


def as_role(value: object) -> Role:
    """``chainguard`` or ``upstream``."""
    for role in Role:
        if role.value == value:
            return role
    raise ValueError(f"{shown(value)} is no role; write one of {', '.join(role.value for role in Role)}")


def as_name(value: object) -> str:
    """The name of an index."""
    if not isinstance(value, str) or not re.fullmatch(NAME, value):
        raise ValueError("must be a name of letters, digits, dot, dash and underscore")
    return value


def as_kind(value: object) -> str:
    """The kind of an index."""
    if value not in KINDS:
        close = meant(value, KINDS) if isinstance(value, str) else ""
        raise ValueError(f"{shown(value)} is no kind of index; kinds are {', '.join(KINDS)}{close}")
    return str(value)


def as_url(value: object) -> str:
    """A URL that may hold a user and password; it comes from the command line or the environment."""
    text = as_text(value)
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in ("http", "https", "file") or not rest:
        raise ValueError("must be a URL of https, http or file")
    return text


def as_url_without_secrets(value: object) -> str:
    """A URL of a file."""
    text = as_url(value)
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise ValueError("holds a user or password; a file holds no secret: write username_env and password_env")
    return text


def as_feed(value: object) -> Path | str:
    """A URL of a public feed, or a path."""
    text = as_text(value)
    if "://" not in text:
        return as_path(text)
    if "@" in as_url(text).partition("://")[2].partition("/")[0]:
        raise ValueError("holds a user or password; a feed is public")
    return text


def as_variable(value: object) -> str:
    """The name of an environment variable. What is none is not shown: it may be the secret itself."""
    if not isinstance(value, str) or not re.fullmatch(VARIABLE, value):
        raise ValueError("must be the name of an environment variable")
    return value


def as_repository(value: object) -> str:
    """The name of a repository, with its owner's before it where the kind has such."""
    if not isinstance(value, str) or not re.fullmatch(REPOSITORY, value):
        raise ValueError("must be the name of a repository: NAME or OWNER/NAME")
    return value


def as_helper(value: object) -> tuple[str, ...]:
    """A credential helper: ``NAME`` of ``docker-credential-NAME``, or a command as a list of words. It is not shown."""
    if isinstance(value, str) and re.fullmatch(DOCKER_HELPER, value):
        return (f"docker-credential-{value}", "get")
    words = value if isinstance(value, list) else []
    if not words or len(words) > MOST_WORDS or not all(isinstance(word, str) and _is_plain(word) for word in words):
        raise ValueError("must be NAME, for docker-credential-NAME, or a command as a list of words")
    return (str(Path(words[0]).expanduser()) if words[0].startswith("~") else words[0], *words[1:])


def _is_plain(word: str) -> bool:
    return 0 < len(word) <= 4096 and word.isprintable()


def shown(value: object) -> str:
    """A value in a message: short, without what may be a password, nothing that moves a terminal's cursor."""
    if not isinstance(value, str):
        return ascii(value)[:80]
    text = masked(value).rpartition("@")[2]
    return text if re.fullmatch(r"[\w.=/:-]{1,80}", text, re.ASCII) else ascii(text[:80])


def meant(word: str, known: Iterable[str]) -> str:
    """``; did you mean …?`` where a known word is near."""
    close = difflib.get_close_matches(word[:80], list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
