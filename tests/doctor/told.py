"""What the doctor told in a test, and the wheels that its tests serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanner.checkup import CHECKS

BOTH = ("blinker==1.9.0", "itsdangerous==2.2.0")
COPIED = "idna==3.10"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheels:
    """Real wheels. ``built`` and ``theirs`` are two builds of the same releases; ``copied`` PyPI alone has built."""

    built: tuple[Path, ...]
    theirs: tuple[Path, ...]
    copied: Path

    @property
    def served(self) -> tuple[Path, ...]:
        """What an index of Chainguard's serves with fallback: its builds, and a copy."""
        return (*self.built, self.copied)

    @property
    def upstream(self) -> tuple[Path, ...]:
        """What PyPI serves."""
        return (*self.theirs, self.copied)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the doctor told, with its exit status."""

    status: int
    document: dict[str, Any]

    def lines(self, index: str) -> dict[str, dict[str, str | None]]:
        """The checks of one index by their names."""
        [one] = [one for one in self.document["indexes"] if one["name"] == index]
        names = [check["check"] for check in one["checks"]]
        assert len(names) == len(set(names))  # one line for each
        assert names == [name for name in CHECKS if name in names]  # in their order
        return {check["check"]: check for check in one["checks"]}

    def line(self, index: str, check: str) -> tuple[str | None, str]:
        """Result and words of one line."""
        found = self.lines(index)[check]
        return found["result"], f"{found['says']}; do: {found['do']}"

    @property
    def wrong(self) -> set[tuple[str, str]]:
        """(index, check) of all that is wrong; ``""`` for what concerns no single index."""
        checks = [("", check) for check in self.document["checks"]]
        checks += [(one["name"], check) for one in self.document["indexes"] for check in one["checks"]]
        assert all(check["do"] for _, check in checks if check["result"] == "wrong")
        return {(name, check["check"]) for name, check in checks if check["result"] == "wrong"}


Doctor = Callable[..., Told]


def configured(text: str) -> str:
    """Write a configuration file; its path."""
    file = Path("cgscan.yaml")
    file.write_text(text)
    return str(file)
