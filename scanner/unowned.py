"""Importable files in environments that no distribution accounts for: where somebody would add code.

What accounts for a file: the wheel that explains a distribution; the package of the operating
system that owns it; for a distribution that no wheel explains, its own RECORD (it is reported itself). An
explained distribution's RECORD accounts for nothing: its wheel says what belongs to it.
A folder without one accounted file is one finding, not thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from scanner.distribution import Finding, FindingKind
from scanner.rootfs import Node, RootFS

_IMPORTABLE: Final = (".py", ".so", ".pth", ".pyc")
_CACHE: Final = "__pycache__"
MADE_FOR_ENVIRONMENTS: Final = {
    "_virtualenv.pth": frozenset({"69ac3d8f27e679c81b94ab30b3b56e9cd138219b1ba94a1fa3606d5a76a1433d"}),
    "_virtualenv.py": frozenset(
        {
            "684b8c07932ba4a84ac2e5ae9afe49ef04e92bac3d8d4191d455cf09d093e5fc",  # virtualenv 20.0 to 20.10
            "ce57d5e0d9b5d7356cb42da7450ba8f9359bdf693e335f4c921626943c77e64d",  # 20.13
            "c9199315871b11b12df226f890a38e66e63191e1adbfb11a66e6861151b33fca",  # 20.17 to 20.21
            "f4dfaeb9efc1614890cfa94ed15bbe9b2ee15fbe76d569ef5e435e93e4987dc7",  # 20.22
            "119e4eb9c1a39e6ffd220840844bd326fa1bd3acf2f1c9fa0612949aedc228a5",  # 20.23
            "0aeb86546345c1d0fada097536e35525714d5cdbcc2d8eb3f9912a955044fcff",  # 20.24
            "0f20351ea7e90039c46d3fabdef991f28b1e3ff33eb13ee6f0d5cd21ea0e8b14",  # 20.25 to 20.34
            "bec6155ff7bfc88f8e79e481f27fd7ee0a3b40eeca9bfeb41f4c4b997b2f8100",  # 20.35, 20.36
            "02943e192823d75212f206e1f2991ac572119882683a95dfbb7a1b913d7b14b5",  # 21.0
            "460589e83387d4dfe5fd84d41c5f6979599f5cd080983d73c832549161c80435",  # 21.5
            "0278334cdcfab4c746b4416fbd5c2b6e7da937c81e132397d62c361d404ebe0e",  # 21.12 to 21.14
            "07584d2a5d13e0811eb567d78ed2aca0fb60e7defff59a01ca7a48d907bdea51",  # 21.15
            "ee52b2e2e720a40885a6b4b90c40e28e5c70e550af74d5efd169eaa5db2a6f6f",  # uv 0.1
            "6cf30c56faf2a55228914dbbd17f8088ed371ebb08f5e7fa6fd931f913fcaf1d",  # uv 0.4 to 0.11
            "cfb3db86aaa53bb62b5ff764970bec2d71c9228590a0ebec57f6ec926cc0bf1a",  # uv 0.12
        }
    ),
}
"""What ``virtualenv`` and ``uv venv`` put into an environment themselves, by its bytes (sha256 of PyPI's releases)."""


@dataclass(kw_only=True)
class _Folder:
    """A folder on the way: what in it and below is accounted for, and what is not."""

    path: str
    accounted: bool = False
    strays: list[tuple[str, Node]] = field(default_factory=list)


def unowned_files(rootfs: RootFS, environments: Collection[str], accounted: Callable[[str], bool]) -> Iterator[Finding]:
    """Findings for the environments (real paths); ``accounted`` is asked for real paths of importable files."""
    outermost = [path for path in sorted(environments) if not _is_below(path, environments)]
    for environment in outermost:
        yield from _in_environment(rootfs, environment, accounted)


def _in_environment(rootfs: RootFS, environment: str, accounted: Callable[[str], bool]) -> Iterator[Finding]:
    folders: dict[str, _Folder] = {}
    for path, node in rootfs.walk(environment):
        folder, _, name = path.rpartition("/")
        if node.entry.kind not in ("file", "symlink") or not _is_importable(rootfs, folder, name, environment):
            continue
        owned = accounted(path) or _is_made_for_environments(name, node, folder == environment)
        top = _top(environment, folder)
        known = folders.setdefault(top, _Folder(path=top))
        known.accounted |= owned
        if not owned:
            known.strays.append((path, node))
    for known in folders.values():
        yield from _findings(known, environment)


def _findings(folder: _Folder, environment: str) -> Iterator[Finding]:
    if folder.path != environment and not folder.accounted and len(folder.strays) > 1:
        detail = f"a folder of {len(folder.strays)} importable files that no distribution accounts for"
        layer = max(node.since for _, node in folder.strays)
        yield Finding(kind=FindingKind.UNOWNED_FILE, path=folder.path, layer=layer, detail=detail)
        return
    for path, node in folder.strays:
        yield Finding(
            kind=FindingKind.UNOWNED_FILE,
            path=path,
            layer=node.since,
            detail=f"no distribution accounts for this file{_why_it_matters(path, environment)}",
        )


def _why_it_matters(path: str, environment: str) -> str:
    name = path.rpartition("/")[2]
    if name.endswith(".pth") or name.partition(".")[0] in ("sitecustomize", "usercustomize"):
        return "; Python runs it at every start" if path == f"{environment}/{name}" else ""
    return "; it is byte code without a source" if name.endswith(".pyc") else ""


def _is_importable(rootfs: RootFS, folder: str, name: str, environment: str) -> bool:
    """What Python would import or run from there: modules, ``.pth`` in the environment itself, sourceless byte code."""
    if not name.endswith(_IMPORTABLE):
        return False
    if name.endswith(".pth"):
        return folder == environment
    if name.endswith(".pyc"):
        return not folder.endswith("/" + _CACHE) and f"{name[:-1]}" not in rootfs.children(folder)
    return not _has_dist_info(folder)


def _has_dist_info(folder: str) -> bool:
    """Nothing is imported from metadata folders: their names are no identifiers."""
    return ".dist-info" in folder or ".egg-info" in folder


def _is_made_for_environments(name: str, node: Node, at_top: bool) -> bool:  # noqa: FBT001 - read with its name
    known = MADE_FOR_ENVIRONMENTS.get(name, frozenset())
    return at_top and node.entry.sha256 is not None and node.entry.sha256.hex() in known


def _top(environment: str, folder: str) -> str:
    """The folder directly below the environment that ``folder`` is in; the environment itself for its own files."""
    if folder == environment:
        return environment
    rest = folder[len(environment.rstrip("/")) + 1 :]
    return f"{environment.rstrip('/')}/{rest.partition('/')[0]}"


def _is_below(path: str, environments: Collection[str]) -> bool:
    parts = path.split("/")
    return any("/".join(parts[:end]) in environments for end in range(2, len(parts)))
