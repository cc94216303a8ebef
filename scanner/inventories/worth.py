"""Whether an archive holds something of Python's, told by the names in it, and which of its members are read."""

from __future__ import annotations

import re
from typing import Final

_METADATA: Final = re.compile(r"(?:^|/)(?:[^/]+\.(?:dist-info|egg-info)|EGG-INFO|conda-meta)(?:/|$)")
_CODE: Final = (".py", ".pyc", ".so", ".pyd", ".pth")
_INNER: Final = (".whl", ".egg", ".pex", ".pyz", ".pyzw", ".shiv")
_TOPS: Final = 3
_PROJECT: Final = re.compile(r"[^/]+-v?\d[^/]*")
_SOURCES: Final = frozenset({"PKG-INFO", "pyproject.toml", "setup.py", "setup.cfg"})


class Worth:
    """What is learnt while :meth:`see` is told every name, directories too."""

    def __init__(self) -> None:
        self.distributions = False
        """There is metadata: every file may belong to a distribution."""
        self.code = False
        self.inner = False
        self._tops: set[str] = set()
        self._sources: set[str] = set()

    def see(self, name: str) -> None:
        """One name in the archive, as it is written."""
        self.code = self.code or name.endswith(_CODE)
        self.inner = self.inner or name.endswith(_INNER)
        self.distributions = self.distributions or _METADATA.search(name) is not None
        top, _, rest = name.removeprefix("./").partition("/")
        if len(self._tops) < _TOPS:
            self._tops.add(top)
        if rest in _SOURCES:
            self._sources.add(rest)

    @property
    def source(self) -> bool:
        """Whether it is a source distribution: one folder named for project and version, PKG-INFO and build files."""
        [top, *others] = self._tops or {""}
        built = len(self._sources) > 1 and "PKG-INFO" in self._sources
        return built and not others and _PROJECT.fullmatch(top) is not None

    def wants(self, name: str) -> bool:
        """Whether a member is read."""
        return self.distributions or name.endswith((*_CODE, *_INNER, ".zip"))
