"""Where installers put the members of a wheel in an environment, and for which interpreter it is.

Places are those of sysconfig's schemes as pip, uv and installer use them: a prefix with
``lib/pythonX.Y/site-packages`` (or Debian's ``dist-packages``), the flat form of ``--target``, and
a bare ``site-packages`` with ``bin``, ``data`` and ``include`` beside it, as Bazel's rules_python unpacks a wheel. The
installed RECORD is read only to learn where the installer says it put something.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from scanner.record import Landing, Record

if TYPE_CHECKING:
    from packaging.tags import Tag

    from scanner.image import Platform
    from scanner.rootfs import RootFS

_IN_PREFIX = re.compile(
    r"(?P<prefix>.*)/(?P<lib>lib|lib64|lib32)/(?P<python>(?:python|pypy)(?P<version>[0-9.]*)t?)/(?:site|dist)-packages"
)
_BESIDE: Final = re.compile(r"(?P<prefix>.*)/(?:site|dist)-packages")
_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "arm": "armv7l"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A directory that holds dist-infos. ``prefix`` is what scripts and data are put below.

    ``python`` is (major, minor) if the path or ``pyvenv.cfg`` tells it.
    """

    path: str
    prefix: str
    twin: str | None
    """The same directory below ``lib64`` where this one is below ``lib``, and the other way round."""
    folder: str
    """``python3.11``, or empty for the flat form."""
    python: tuple[int, int] | None

    @classmethod
    def of(cls, path: str, rootfs: RootFS | None = None) -> Environment:
        """Read an environment off its path."""
        found = _IN_PREFIX.fullmatch(path)
        if not found:
            beside = _BESIDE.fullmatch(path)
            return cls(path=path, prefix=beside["prefix"] if beside else path, twin=None, folder="", python=None)
        other = {"lib": "lib64", "lib64": "lib"}.get(found["lib"])
        rest = path[len(found["prefix"]) + 1 + len(found["lib"]) :]
        twin = f"{found['prefix']}/{other}{rest}" if other else None
        version = _version(found["version"]) or (_venv_version(rootfs, found["prefix"]) if rootfs else None)
        return cls(path=path, prefix=found["prefix"], twin=twin, folder=found["python"], python=version)

    def or_of_tags(self, tags: Iterable[str]) -> Environment:
        """The interpreter of a compiled wheel's tags, where the path does not tell one."""
        if self.python is None:
            for tag in sorted(tags):
                found = re.fullmatch(r"cp(\d)(\d+)-cp\1\2t?-.*", tag)
                if found:
                    return replace(self, python=(int(found[1]), int(found[2])))
        return self

    @property
    def script_folders(self) -> tuple[str, ...]:
        """Where scripts may have been put, the most likely folder first."""
        return tuple(f"{home}/{folder}" for home in self._homes() for folder in ("bin", "Scripts"))

    def places(self, landing: Landing, project: str) -> Iterator[str]:
        """Where a member may have been put, the most likely place first."""
        match landing.scheme:
            case "lib":
                yield f"{self.path}/{landing.path}"
                if self.twin:
                    yield f"{self.twin}/{landing.path}"
            case "scripts":
                yield from (f"{folder}/{landing.path}" for folder in self.script_folders)
                yield from self._stashed("bin", landing)
            case "headers":
                yield from (f"{folder}/{project}/{landing.path}" for folder in self.header_folders)
                if not self.folder:
                    yield f"{self.prefix}/include/{landing.path}"
            case _:
                yield from (f"{home}/{landing.path}" for home in self._homes())
                if not self.folder:
                    yield f"{self.prefix}/data/{landing.path}"
                yield from self._stashed("data", landing)

    def _stashed(self, folder: str, landing: Landing) -> Iterator[str]:
        """PEX keeps what belongs beside an environment in a folder in it."""
        if not self.folder:
            yield f"{self.path}/.prefix/{folder}/{landing.path}"

    def _homes(self) -> tuple[str, ...]:
        """The folders that scripts and data are put below: ``site-packages`` may be a ``--target`` too (AWS)."""
        if self.prefix == self.path:
            return (self.path,)
        return (self.prefix, self.path) if self.folder else (self.path, self.prefix)

    @property
    def header_folders(self) -> Iterator[str]:
        """The folders that hold one for the headers of each project, the most likely first."""
        own = (f"site/{self.folder}", self.folder) if self.folder else ()
        for home in self._homes():
            yield from (f"{home}/include/{middle}" for middle in (*own, "python"))
            yield f"{home}/include"


def said_places(record: Record | None, environment: str) -> Mapping[str, tuple[str, ...]]:
    """What an installed RECORD says lies outside of the environment: absolute paths by base name.

    Rows that climb above the root stay at the root, as they would for any reader of the path.
    """
    found: dict[str, dict[str, None]] = {}
    for row in record.rows if record else ():
        if row.path.startswith("../"):
            path = posixpath.normpath(f"{environment}/{row.path}")
            found.setdefault(posixpath.basename(path), {})[path] = None
    return {name: tuple(paths) for name, paths in found.items()}


def fits(tags: Iterable[Tag], environment: Environment, platform: Platform | None, *, musl: bool) -> bool:
    """Whether a wheel's tags suit an environment; what is not known of it excludes nothing."""
    return any(
        _fits_python(tag, environment.python) and _fits_platform(tag.platform, platform, musl=musl) for tag in tags
    )


def _fits_python(tag: Tag, python: tuple[int, int] | None) -> bool:
    found = re.fullmatch(r"(?P<kind>py|cp|pp)(?P<major>\d)(?P<minor>\d*)", tag.interpreter)
    if not found:
        return False
    if python is None:
        return found["major"] != "2"
    if int(found["major"]) != python[0]:
        return False
    if not found["minor"]:
        return True
    minor = int(found["minor"])
    if found["kind"] == "py" or (found["kind"] == "cp" and tag.abi in ("abi3", "none")):
        return minor <= python[1]
    return minor == python[1]


def _fits_platform(tag: str, platform: Platform | None, *, musl: bool) -> bool:
    if tag == "any":
        return True
    if platform is None:
        return tag.startswith(("linux", "manylinux", "musllinux"))
    machine = _MACHINES.get(platform.architecture, platform.architecture)
    if not tag.endswith("_" + machine):
        return False
    return tag.startswith(("linux", "musllinux" if musl else "manylinux"))


def _version(text: str) -> tuple[int, int] | None:
    major, _, minor = text.partition(".")
    minor = minor.partition(".")[0]
    known = text.isascii() and len(text) < 20 and major.isdigit() and minor.isdigit()
    return (int(major), int(minor)) if known else None


def _venv_version(rootfs: RootFS, prefix: str) -> tuple[int, int] | None:
    """``version`` or ``version_info`` of ``pyvenv.cfg`` (PEP 405, virtualenv and uv write the latter)."""
    lines = (rootfs.read(f"{prefix}/pyvenv.cfg") or b"").decode("utf-8", "replace").splitlines()
    for line in lines[:100]:
        key, _, value = line.partition("=")
        if key.strip() in ("version", "version_info"):
            return _version(value.strip())
    return None
