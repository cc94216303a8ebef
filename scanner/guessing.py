"""Which projects a folder or module without metadata may be: guesses by its name, to be proved by its bytes.

There is no table of import names. A name is tried as it is and in the usual variants (``yaml``: ``pyyaml``;
``dateutil``: ``python-dateutil``); what is installed beside it says what it requires; a wheel that lies in the target
is a guess with a version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from packaging.utils import NormalizedName, canonicalize_name

from scanner.record import landing

if TYPE_CHECKING:
    from scanner.rootfs import RootFS
    from scanner.strays import Strays
    from scanner.wheel import WheelContents

_VARIANTS: Final = ("{}", "py{}", "python-{}", "{}-python", "py-{}", "{}-py", "{}-binary")
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_CODE: Final = (".py", ".so")
_DEEPEST: Final = 3
_HEADER_BYTES: Final = 1024 * 1024
_MOST_REQUIRED: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """A package or module without metadata: where it is, its dotted name in parts, its importable files."""

    environment: str
    location: str
    parts: tuple[str, ...]
    files: tuple[str, ...]


def portions(rootfs: RootFS, strays: Strays) -> list[Portion]:
    """What may be distributions, in the order of their paths. A folder in which something is accounted for is none."""
    found: dict[tuple[str, ...], list[str]] = {}
    for path, _ in strays.files:
        parts = _parts(rootfs, strays.environment, path)
        if parts and not path.endswith(".pth"):
            found.setdefault(parts, []).append(path)
    made = [_portion(strays.environment, parts, files) for parts, files in sorted(found.items())]
    return [one for one in made if one.location not in strays.accounted]


def _portion(environment: str, parts: tuple[str, ...], files: Sequence[str]) -> Portion:
    location = f"{environment.rstrip('/')}/{'/'.join(parts)}"
    names = (*parts[:-1], parts[-1].partition(".")[0])
    return Portion(environment=environment, location=location, parts=names, files=tuple(files))


def _parts(rootfs: RootFS, environment: str, path: str) -> tuple[str, ...]:
    """The way to the package a file is in: below folders that hold neither ``__init__`` nor modules (namespaces)."""
    parts = path[len(environment.rstrip("/")) + 1 :].split("/")
    for depth in range(1, min(len(parts), _DEEPEST + 1)):
        folder = f"{environment.rstrip('/')}/{'/'.join(parts[:depth])}"
        if any(name.endswith(_CODE) for name in rootfs.children(folder)):
            return tuple(parts[:depth])
    return tuple(parts[: _DEEPEST + 1])


def names_of(portion: Portion) -> list[NormalizedName]:
    """The projects that it may be, the likeliest first."""
    parts = [part.strip("_") for part in portion.parts]
    stems = dict.fromkeys(["-".join(parts), parts[-1]])
    names = [canonicalize_name(variant.format(stem)) for stem in stems for variant in _VARIANTS]
    return [name for name in dict.fromkeys(names) if _NAME.fullmatch(name) and len(name) < 100]


def required(metadata: Iterable[bytes], python: tuple[int, int] | None) -> Iterator[NormalizedName]:
    """The projects that metadata require on Linux without extras."""
    environment = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "extra": ""}
    if python is not None:
        version = f"{python[0]}.{python[1]}"
        environment.update(python_version=version, python_full_version=f"{version}.0")
    from email.parser import HeaderParser  # noqa: PLC0415 - slow to import, and nearly no scan has anything to guess

    seen: set[NormalizedName] = set()
    for data in metadata:
        text = data[:_HEADER_BYTES].decode("utf-8", "replace")
        for line in HeaderParser().parsestr(text).get_all("Requires-Dist", [])[:_MOST_REQUIRED]:
            name = _required(line, environment)
            if name is not None and name not in seen:
                seen.add(name)
                yield name


def _required(line: str, environment: Mapping[str, str]) -> NormalizedName | None:
    from packaging.markers import InvalidMarker, UndefinedComparison, UndefinedEnvironmentName  # noqa: PLC0415 - as above
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

    try:
        requirement = Requirement(str(line)[:1000])
        if requirement.marker is not None and not requirement.marker.evaluate(dict(environment)):
            return None
    except (InvalidRequirement, InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, ValueError):
        return None
    return canonicalize_name(requirement.name)


class AtHand:
    """Wheels whose contents are known from the target itself, by the packages and modules at their top."""

    def __init__(self, wheels: Iterable[tuple[NormalizedName, str, WheelContents]]) -> None:
        self._by_top: dict[str, list[tuple[NormalizedName, str, WheelContents]]] = {}
        for name, version, contents in wheels:
            tops = {landing(member).path.partition("/")[0] for member in contents.members}
            for top in tops:
                self._by_top.setdefault(top, []).append((name, version, contents))

    def having(self, portion: Portion) -> list[tuple[NormalizedName, str, WheelContents]]:
        """Those that may hold it."""
        top = portion.location[len(portion.environment.rstrip("/")) + 1 :].partition("/")[0]
        return self._by_top.get(top, [])
