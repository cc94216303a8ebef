"""Which form of an entry a path is, by the layout that each tool writes. Pure.

A plan may come from anywhere, and what it names is deleted: so a path that is not exactly of one of these forms is
refused, whatever lies there. The layouts are those that :mod:`scanner.cachefiles` reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scanner.errors import NotDeleted

if TYPE_CHECKING:
    from scanner.stale import LocalCopy

_HASHED: Final = r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{50,58}"
_ANSWERS: Final = r"([0-9a-f])/([0-9a-f])/([0-9a-f])/([0-9a-f])/([0-9a-f])"
_BELOW: Final = rf"{_ANSWERS}/\2\3\4\5\6[0-9a-f]{{51}}"
"""The five digits are the first of the name. Group 1 is the store's root in all patterns below."""
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,250}"
_WHEEL: Final = rf"{_NAME}\.whl"
_ARCHIVE: Final = rf"{_NAME}\.(?:whl|tar\.gz|tgz|zip|tar\.bz2|tar\.xz)"
_ROOT: Final = r"^((?:[^/]+/)*?)"
_INFO: Final = rf"(?:/{_NAME}\.(?:dist|egg)-info)?$"
_PATTERNS: Final = tuple(
    (tool, kind, re.compile(f"{_ROOT}{pattern}"))
    for tool, kind, pattern in (
        ("pip", "body", rf"http(?:-v2)?/{_BELOW}\.body$"),
        ("pip", "answer", rf"http/{_BELOW}$"),
        ("pip", "built", rf"wheels/{_HASHED}/{_WHEEL}$"),
        ("poetry", "file", rf"artifacts/{_HASHED}/{_ARCHIVE}$"),
        ("poetry", "body", rf"cache/repositories/[^/]+/_http_?/{_BELOW}\.body$"),
        ("poetry", "answer", rf"cache/repositories/[^/]+/_http_?/{_BELOW}$"),
        ("pdm", "unpacked", rf"packages/{_WHEEL}\.cache{_INFO}"),
        ("pdm", "built", rf"wheels/{_HASHED}/{_WHEEL}$"),
        ("pdm", "row", r"http/http-cache\.db(?:!/.*)?$"),
        ("pdm", "answer", r"http/[0-9a-f]{32}$"),
        ("pdm", "answer", rf"http/{_BELOW}$"),
        ("pdm", "body", rf"http/{_BELOW}\.body$"),
        ("uv", "unpacked", rf"archive-v\d+/[A-Za-z0-9_-]{{6,64}}{_INFO}"),
        ("uv", "file", rf"(?:built-wheels|sdists|wheels)-v\d+/(?:[^/]+/)+{_WHEEL}$"),
    )
)
_TAIL: Final = re.compile(r"/[^/]+\.(?:dist|egg)-info$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """An entry of a store. ``store`` is the tool's folder relative to the copy's root (empty for the root itself),
    ``folder`` the entry's folder relative to the store, ``name`` the entry's own name there.

    ``kind`` is ``file`` (an artifact under its name), ``built`` (one that the tool built), ``body`` (of an answer,
    beside its head), ``answer`` (head and body in one), ``row`` (in a database) or ``unpacked``.
    """

    tool: str
    kind: str
    store: str
    folder: str
    name: str


def form_of(copy: LocalCopy) -> Form:
    """The form of what a plan names; :class:`scanner.errors.NotDeleted` for what is none."""
    relative = _relative(copy)
    for tool, kind, pattern in _PATTERNS:
        found = pattern.search(relative) if tool == copy.tool else None
        if found:
            inside = relative[len(found[1]) :].partition("!/")[0]
            inside = _TAIL.sub("", inside) if kind == "unpacked" else inside
            folder, _, name = inside.rpartition("/")
            return Form(tool=tool, kind=kind, store=found[1].rstrip("/"), folder=folder, name=name)
    raise NotDeleted(
        f"{copy.path}: not deleted: it is no entry of a store of {copy.tool}'s whose layout is known",
        hint="the tool's own command may know it: uv cache clean PROJECT, pip cache purge, poetry cache clear, "
        "pdm cache clear",
    )


def _relative(copy: LocalCopy) -> str:
    """The path below the root, without a step that leads up or nowhere."""
    root = copy.root.rstrip("/")
    path = copy.path
    steps = path.removeprefix(f"{root}/").partition("!/")[0].split("/")
    inside = path.startswith(f"{root}/") and root.startswith("/")
    if not inside or "\0" in path or any(step in ("", ".", "..") for step in steps):
        raise NotDeleted(f"{path}: not deleted: it does not lie below {copy.root}")
    return path.removeprefix(f"{root}/")
