"""One distribution with its verdict, and the terms on which a tree is assessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from scanner.attesting import Attestor
from scanner.distribution import Installed, WheelFile
from scanner.forms import Form
from scanner.image import Platform
from scanner.index import Index
from scanner.limits import Limits
from scanner.owner import Owner
from scanner.report import Available
from scanner.rootfs import RegularFile
from scanner.verdict import Verdict

LookAgain: TypeAlias = Callable[[Sequence[RegularFile]], Mapping[bytes, Form]]
"""Reads files of the tree a second time: their forms by raw sha256, of those that could be read."""


def _nothing(_: Sequence[RegularFile]) -> Mapping[bytes, Form]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms a tree is assessed. ``layered`` is false for trees without layers.

    ``findings`` is false where only distributions are asked for. ``deadline`` is when the work with indexes ends
    (:func:`time.monotonic`), where it began before this tree's. ``attestor`` None asks for no attestations.
    """

    indexes: Sequence[Index]
    limits: Limits
    platform: Platform | None
    layered: bool
    prove: bool = False
    attestor: Attestor | None = None
    jobs: int = 4
    findings: bool = True
    deadline: float | None = None
    on_matched: Callable[[str], None]
    look_again: LookAgain = _nothing


@dataclass(frozen=True, kw_only=True)
class Assessed:
    """One distribution with its verdict. ``answered`` is whether at least one index had an answer.

    ``chainguard_asked`` is whether all indexes of that role had one.
    """

    found: Installed | WheelFile
    verdict: Verdict
    available: Available = field(default_factory=Available)
    owner: Owner | None = None
    vendor: str | None = None
    answered: bool | None = None
    chainguard_asked: bool = False
