"""Importable files in environments that no distribution accounts for: code without metadata, or an attacker's.

What accounts for a file: the wheel that explains a distribution; the package of the operating
system that owns it; for a distribution that no wheel explains, its own RECORD (it is reported itself). An
explained distribution's RECORD accounts for nothing: its wheel says what belongs to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from scanner.assessed import Assessed
from scanner.claimed import claimed
from scanner.discovery import Places, is_source_tree, is_standard_library
from scanner.distribution import Installed, Kind, Origin
from scanner.editable import STARTING, accounts_for, is_namespace_declaration
from scanner.owners import Owners
from scanner.rootfs import Node, RootFS

IMPORTABLE: Final = (".py", ".so", ".pyc", *STARTING)
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
_EASY_INSTALL_LINES: Final = frozenset(
    {
        b"importsys;sys.__plen=len(sys.path)",
        (
            b"importsys;new=sys.path[sys.__plen:];delsys.path[sys.__plen:];p=getattr(sys,'__egginsert',0);"
            b"sys.path[p:p]=new;sys.__egginsert=p+len(new)"
        ),
    }
)
"""What setuptools' ``easy_install`` put around the paths in ``easy-install.pth``, without its spaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strays:
    """What one environment holds that nothing accounts for: real paths, parents first.

    ``accounted`` are the folders in which, or below which, something is accounted for.
    """

    environment: str
    files: list[tuple[str, Node]] = field(default_factory=list)
    accounted: set[str] = field(default_factory=set)


def strays(rootfs: RootFS, owners: Owners, live: Sequence[Assessed], known: Places) -> list[Strays]:
    """For each environment with such files, also those that are one only if a distribution is found in them.

    ``known`` are the places of the tree.
    """
    return _Walk(rootfs, owners, live, known).found()


def environments_of(rootfs: RootFS, live: Iterable[Assessed], known: Places) -> set[str]:
    """Where installed code is imported from: by shape, and where distributions are.

    No source trees, no folders that hold only local installs, and flat folders only if a distribution is in them.
    """
    return _with_distributions(rootfs, live) | known.named


def _with_distributions(rootfs: RootFS, live: Iterable[Assessed]) -> set[str]:
    found: set[str] = set()
    for one in live:
        installed = one.found
        if not isinstance(installed, Installed) or installed.kind is not Kind.INSTALLED:
            continue
        if one.verdict.origin is Origin.LOCAL or is_source_tree(rootfs, installed.environment):
            continue
        found.add(installed.environment)
        found.update(_real_folders(rootfs, installed.aliases))
    return found


def _real_folders(rootfs: RootFS, aliases: Iterable[str]) -> Iterator[str]:
    """The environments that reach a distribution by a link to its metadata."""
    for path in aliases:
        real = rootfs.resolve(path.rpartition("/")[0] or "/")
        if real is not None:
            yield real


def accounting(rootfs: RootFS, owners: Owners, live: Sequence[Assessed]) -> Callable[[str], bool]:
    """Whether something accounts for a real path."""
    files: set[str] = set()
    folders: set[str] = set()
    for one in live:
        found = one.found
        if not isinstance(found, Installed) or found.kind is not Kind.INSTALLED:
            continue
        files.update(found.files)
        if one.verdict.fit is not None:
            files.update(row.path for row in one.verdict.fit.rows if row.file is not None)
        elif one.verdict.origin is Origin.LOCAL:
            files.update(accounts_for(found, rootfs))
            folders.update(claimed(found).folders)
        else:
            said = claimed(found)
            files.update(said.files)
            folders.update(said.folders)

    def accounted(path: str) -> bool:
        if path in files or owners.of(path) is not None:
            return True
        return any(parent in folders for parent in _with_parents(path)) if folders else False

    return accounted


def _may_be_of_interest(name: str, node: Node) -> bool:
    """Folders, links, and files that may be importable: a quarter of what is there."""
    return node.children is not None or name.endswith(IMPORTABLE) or node.entry.kind == "symlink"


def _with_parents(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


class _Walk:
    """One way through all environments, each file under the innermost of them."""

    def __init__(self, rootfs: RootFS, owners: Owners, live: Sequence[Assessed], known: Places) -> None:
        self._rootfs = rootfs
        self._accounted = accounting(rootfs, owners, live)
        self._environments = _with_distributions(rootfs, live) | known.named | known.possible
        self._strays: dict[str, Strays] = {}

    def found(self) -> list[Strays]:
        for environment in sorted(self._environments):
            node = self._rootfs.node(environment)
            if node is not None:
                self._strays[environment] = Strays(environment=environment)
                self._go(environment, node)
        return [one for one in self._strays.values() if one.files]

    def _go(self, environment: str, top: Node) -> None:
        """Everything below an environment but other environments, the standard library and metadata."""
        pending = [(environment, top)]
        for folder, node in pending:
            children = node.children or {}
            for name in sorted(name for name, child in children.items() if _may_be_of_interest(name, child)):
                path, child = f"{folder.rstrip('/')}/{name}", children[name]
                if child.children is None:
                    self._take(self._strays[environment], folder, path, child)
                elif not self._is_passed_over(path, child):
                    pending.append((path, child))

    def _is_passed_over(self, path: str, node: Node) -> bool:
        return (
            path in self._environments
            or path.endswith((".dist-info", ".egg-info", "/" + _CACHE))
            or is_standard_library(path, node)
        )

    def _take(self, strays: Strays, folder: str, path: str, node: Node) -> None:
        if not self._is_importable(strays.environment, folder, path, node):
            return
        if self._is_accounted(strays.environment, folder, path, node):
            while folder not in strays.accounted and len(folder) >= len(strays.environment):
                strays.accounted.add(folder)
                folder = folder.rpartition("/")[0]
        else:
            strays.files.append((path, node))

    def _is_importable(self, environment: str, folder: str, path: str, node: Node) -> bool:
        """What Python would import or run from there: modules, ``.pth`` of the environment, sourceless byte code.

        And a link to a folder of code that is in no environment.
        """
        name = path.rpartition("/")[2]
        if node.entry.kind == "symlink" and self._rootfs.children(path):
            return name.isidentifier() and self._leads_out(path)
        if node.entry.kind not in ("file", "symlink") or not name.endswith(IMPORTABLE):
            return False
        if name.endswith(STARTING):
            return folder == environment
        return not name.endswith(".pyc") or name[:-1] not in self._rootfs.children(folder)

    def _leads_out(self, path: str) -> bool:
        real = self._rootfs.resolve(path) or ""
        code = any(name.endswith((".py", ".so")) for name in self._rootfs.children(path))
        return code and not any(parent in self._environments for parent in _with_parents(real))

    def _is_accounted(self, environment: str, folder: str, path: str, node: Node) -> bool:
        if self._accounted(path):
            return True
        if node.entry.kind == "symlink":  # farms of links, as Nix and Bazel make them
            real = self._rootfs.resolve(path)
            return real is not None and self._accounted(real)
        return folder == environment and self._is_made_for_environments(environment, path, node)

    def _is_made_for_environments(self, environment: str, path: str, node: Node) -> bool:
        name = path.rpartition("/")[2]
        if name == "easy-install.pth":
            return self._only_names_local_installs(environment, self._rootfs.read(path) or b"?")
        if name.endswith("-nspkg.pth"):
            return is_namespace_declaration(self._rootfs.read(path) or b"")
        known = MADE_FOR_ENVIRONMENTS.get(name, frozenset())
        return node.entry.sha256 is not None and node.entry.sha256.hex() in known

    def _only_names_local_installs(self, environment: str, data: bytes) -> bool:
        """Whether every line is a folder that an ``.egg-link`` names, an egg that is there, or setuptools' own."""
        children = self._rootfs.children(environment)
        links = [name for name in children if name.endswith(".egg-link")]
        named = {(self._rootfs.read(f"{environment}/{name}") or b"").partition(b"\n")[0].strip() for name in links}
        eggs = {f"./{name}".encode() for name in children if name.endswith(".egg")}
        harmless = {b"", *named, *eggs}
        return all(
            line.strip() in harmless or line.replace(b" ", b"").strip() in _EASY_INSTALL_LINES
            for line in data.split(b"\n")
        )
