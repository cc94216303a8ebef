"""Which words may stand at a place of the command line, for shells that complete them.

What a place takes is told by its metavar, the same word that ``--help`` shows, so a new option is completed without
being named here; ``tests/test_completion.py`` holds that every metavar is known. Only files that are on this machine
are read, no network is asked, and a configuration that cannot be read has no names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from scanner.index import IndexSpec

_TRANSPORTS: Final = ("registry:", "docker:", "podman:")
_STORED: Final = ("docker-archive:", "oci-archive:", "oci-dir:", "dir:", "file:")
_PLATFORMS: Final = ("linux/amd64", "linux/arm64", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a word stands: its parameter, the command around it, and what is there of the word so far."""

    context: click.Context
    parameter: click.Parameter
    begun: str


Item: TypeAlias = CompletionItem[str]
Words: TypeAlias = Callable[[Place], Iterable[Item]]


class Completed(click.ParamType[str]):
    """Any text, with the words that :data:`BY_METAVAR` has for it."""

    name = "text"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Item]:
        """What may stand there; nothing where nothing is known."""
        words = words_of(param)
        return list(words(Place(context=ctx, parameter=param, begun=incomplete))) if words else []


def words_of(parameter: click.Parameter) -> Words | None:
    """What completes a parameter; None where no metavar of that kind is known."""
    metavar = str(parameter.metavar or "").removesuffix("...")
    if metavar == "NAME":
        return _indexes if isinstance(parameter, click.Option) else _nothing
    if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", metavar):
        return _alternatives
    return BY_METAVAR.get(metavar)


def teach(command: click.Command) -> None:
    """Give every plain text of a command, and of those below it, its words."""
    for parameter in command.params:
        if parameter.type is click.STRING:
            parameter.type = Completed()
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        teach(below)


# -- what is on disk


def _files(place: Place) -> list[Item]:
    return [_path(place.begun)]


def _folders(place: Place) -> list[Item]:
    return [_path(place.begun, kind="dir")]


def _targets(place: Place) -> list[Item]:
    """Prefixes and paths. What daemons and registries have would have to be asked for."""
    prefix, colon, rest = place.begun.partition(":")
    if colon and f"{prefix}:" in (*_STORED, *_TRANSPORTS):
        kind = "dir" if prefix in ("dir", "oci-dir") else "file"
        return [_path(rest, kind=kind, head=f"{prefix}:")] if f"{prefix}:" in _STORED else []
    return [*_those((*_TRANSPORTS, *_STORED), place.begun), _path(place.begun)]


def _path(begun: str, *, kind: str = "file", head: str = "") -> Item:
    """The shell looks for the files itself; ``head`` stands before them in the word."""
    return CompletionItem(begun, type=kind, head=head)


# -- what is in the configuration


def _indexes(place: Place) -> list[Item]:
    """Names of the configuration, of the one role where the option is of one, and paths where it takes these."""
    option = place.parameter.name
    roles = {"index": ("chainguard",), "upstream": ("upstream",)}.get(option or "", ("chainguard", "upstream"))
    specs = [spec for spec in _configured(place.context) if spec.name and spec.role.value in roles]
    names = [
        CompletionItem(spec.name or "", help=f"{spec.role.value} index")
        for spec in specs
        if (spec.name or "").startswith(place.begun)
    ]
    return [*names, *(_files(place) if option in ("index", "upstream") else [])]


def _configured(context: click.Context) -> tuple[IndexSpec, ...]:
    """The indexes of the file that the command would read."""
    from scanner.config import stored_indexes

    named = context.params.get("config")
    return stored_indexes(named if isinstance(named, str) else None, os.environ)


# -- words of the program itself


def _formats(place: Place) -> list[Item]:
    """Those that the option's help names; what follows ``FORMAT=`` is a file."""
    head, equals, rest = place.begun.partition("=")
    named = getattr(place.parameter, "help", None) or ""
    formats = [word for word in re.findall(r"[a-z]+", re.split(r"[;.(\[]", named)[0]) if word != "or"]
    if equals:
        return [_path(rest, head=f"{head}=")] if head in formats else []
    return _those(formats, place.begun)


def _failures(place: Place) -> list[Item]:
    from scanner.policy import ALLOWED

    return _listed(ALLOWED, place.begun)


def _changes(place: Place) -> list[Item]:
    from scanner.difference import GATES

    return _listed(["worse", *GATES], place.begun)


def _filters(place: Place) -> list[Item]:
    from scanner.formats.view import WORDS

    bang = "!" if place.begun.rpartition(",")[2].startswith("!") else ""
    return _listed([f"{bang}{word}" for word in (*WORDS, "name=")], place.begun)


def _rungs(place: Place) -> list[Item]:
    from scanner.index import Evidence

    return _those([rung.value for rung in Evidence], place.begun)


def _limits(place: Place) -> list[Item]:
    from dataclasses import fields

    from scanner.limits import Limits

    return _those([f"{field.name}=" for field in fields(Limits)], place.begun)


def _platforms(place: Place) -> list[Item]:
    return _those(_PLATFORMS, place.begun)


def _alternatives(place: Place) -> list[Item]:
    return _those(str(place.parameter.metavar).split("|"), place.begun)


def _commands(place: Place) -> list[Item]:
    """The words of a command, one after the other, and topics of ``cgscan help``."""
    from scanner.cli.topics import TOPICS

    found: click.Command = place.context.find_root().command
    before: Any = place.context.params.get(place.parameter.name or "") or ()
    for word in before:
        found = found.commands.get(word, click.Command(None)) if isinstance(found, click.Group) else click.Command(None)
    names = list(found.commands) if isinstance(found, click.Group) else []
    return _those([*names, *(() if before else TOPICS)], place.begun)


def _nothing(place: Place) -> list[Item]:  # noqa: ARG001 - one shape for all
    return []


def _listed(words: Iterable[str], begun: str) -> list[Item]:
    """Words with commas between them: the last one is completed, and none twice."""
    before, comma, last = begun.rpartition(",")
    said = set(before.split(","))
    return [CompletionItem(f"{before}{comma}{word}") for word in words if word.startswith(last) and word not in said]


def _those(words: Iterable[str], begun: str) -> list[Item]:
    return [CompletionItem(word) for word in words if word.startswith(begun)]


BY_METAVAR: Final[Mapping[str, Words]] = {
    "TARGET": _targets,
    "TARGET|REPORT": _targets,
    "REPORT|TARGET": _targets,
    "IMAGE|REPORT": _targets,
    "TARGET|FILE": _targets,
    "TARGET|DIGEST": _targets,
    "REPORT": _files,
    "FILE": _files,
    "URL|FILE": _files,
    "[PLAN.json | FOLDER...]": _files,
    "DIR": _folders,
    "INDEX": _indexes,
    "[URL|NAME]": _indexes,
    "FORMAT[=FILE]": _formats,
    "VALUE": _failures,
    "FILTER": _filters,
    "CHANGE": _changes,
    "RUNG": _rungs,
    "NAME=VALUE": _limits,
    "N|NAME=VALUE": _limits,
    "OS/ARCH[/VARIANT]|all": _platforms,
    "[TOPIC | COMMAND...]": _commands,
    **dict.fromkeys(
        (
            *("[PROJECT[==VERSION]]", "PROJECT[==VERSION]", "GLOB", "SPECIFIER", "PATH", "HOST[:PORT]", "HOST:PORT"),
            *("PATTERN", "[REGISTRY]"),
            *("DAYS", "HOURS", "SIZE", "N", "PCT", "AGE", "URI"),
        ),
        _nothing,
    ),
}
"""By metavar without the dots of repetition. ``NAME`` and lower-case words with bars between are not in it."""
