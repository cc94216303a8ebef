"""Chainguard's wheel that does for everybody whom a stored file served.

A proxy does not know who asks: a wheel for any platform is replaced by one for any platform only, a wheel for several
versions of Python by one for several, and one for Windows or macOS by none. A source archive is replaced by another one
that Chainguard lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from packaging.tags import Tag

from scanner.environment import Environment, fits
from scanner.image import Platform
from scanner.offers import Shelf, version_of
from scanner.wheel import WheelName

if TYPE_CHECKING:
    from scanner.index import IndexFile
    from scanner.manager import Retrieved
    from scanner.stale import Replacement

_LINUX: Final = re.compile(
    r"(?P<library>linux|manylinux|musllinux)\w*_(?P<machine>x86_64|aarch64|i686|armv7l|ppc64le|s390x|riscv64)"
)
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}
_FOR_MANY: Final = ("abi3", "none")


def replacement_of(entry: Retrieved, shelf: Shelf) -> Replacement | None:
    """What Chainguard's indexes have of the same version instead of a stored file."""
    version = version_of(entry.version)
    if version is None:
        return None
    wheel = WheelName.parse(entry.filename)
    does = _for_wheel(wheel.tags) if wheel else _is_source
    found = shelf.first_proved((index, file) for index, file in shelf.of_version(version) if does(file))
    return found[0] if found else None


def _is_source(file: IndexFile) -> bool:
    return file.wheel is None


def _for_wheel(tags: Iterable[Tag]) -> Callable[[IndexFile], bool]:
    """Whether a wheel serves all whom a wheel of these tags served."""
    known = list(tags)

    def does(file: IndexFile) -> bool:
        return file.wheel is not None and any(_serves(file.wheel.tags, tag) for tag in known)

    return does


def _serves(offered: Iterable[Tag], tag: Tag) -> bool:
    kind = tag.interpreter[:2]
    if tag.interpreter[2:3] == "2":
        return False
    mine = [one for one in offered if one.interpreter.startswith(("py", kind))]
    if tag.abi in _FOR_MANY:
        mine = [one for one in mine if one.abi in _FOR_MANY]
    if tag.platform == "any":
        return fits([one for one in mine if one.platform == "any"], Environment.of(""), None, musl=False)
    found = _LINUX.fullmatch(tag.platform)
    if not found:
        return False
    platform = Platform(os="linux", architecture=_ARCHITECTURES.get(found["machine"], found["machine"]))
    asking = Environment.of("").or_of_tags([str(tag)])
    return fits(mine, asking, platform, musl=found["library"] == "musllinux")
