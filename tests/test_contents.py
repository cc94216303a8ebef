"""The docstring of ``scanner`` is the table of contents, and imports keep to its order."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import scanner

PACKAGE = Path(scanner.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
ENTRANCE = "__main__"
"""Not in the table: it starts ``cli`` and is nothing to read."""


def contents() -> list[str]:
    """The names of the table, in its order: lines that are indented, hold a name, a gap and a sentence."""
    return re.findall(r"^    (\w+) {2,}\S", scanner.__doc__ or "", re.MULTILINE)


def module_of(file: Path) -> str:
    """The line of the table that a file belongs to; '' for the package itself."""
    first = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def package_of(file: Path) -> list[str]:
    """``["scanner", "formats"]``: what relative imports in the file start from."""
    return ["scanner", *file.relative_to(PACKAGE).parent.parts]


def imports(code: str, package: list[str]) -> Iterator[tuple[int, str]]:
    """(line, absolute name) of every import, at whatever depth it stands."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, node.module] if node.module else start)
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def parts_used(code: str, package: list[str]) -> Iterator[tuple[int, str]]:
    """(line, name of the table) of every import of a part of ``scanner``."""
    for line, name in imports(code, package):
        root, _, rest = name.partition(".")
        part = rest.partition(".")[0]
        if root == "scanner" and part not in ("", "__version__"):
            yield line, part


def test_every_module_is_in_the_table_once() -> None:
    table = contents()
    assert sorted(table) == sorted(set(table))
    there = {name for _, name, _ in pkgutil.iter_modules([str(PACKAGE)])} - {ENTRANCE}
    assert set(table) == there


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_come_from_above_only(file: Path) -> None:
    table = [*contents(), ENTRANCE]
    own = module_of(file)
    place = table.index(own) if own else 0
    wrong = [
        f"{file.relative_to(PACKAGE)}:{line} imports scanner.{name}, which is not above {own or 'the package'}"
        for line, name in parts_used(file.read_text(encoding="utf-8"), package_of(file))
        if name != own and (name not in table or table.index(name) >= place)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_import_reader_sees_every_form() -> None:
    code = (
        "import scanner.a\nfrom scanner import b, __version__\nfrom scanner.c.d import e\n"
        "from . import f\nfrom .. import g\nfrom ..h import i\ndef x():\n    import scanner.j as j\n"
    )
    found = {name for _, name in parts_used(code, ["scanner", "formats"])}
    assert found == {"a", "b", "c", "formats", "g", "h", "j"}


@pytest.mark.parametrize(
    ("library", "places"),
    [
        ("httpx", {"http"}),
        ("click", {"cli"}),
        ("rich", {"display", "cli"}),
        ("sigstore", {"signatures"}),
        ("cryptography", {"signatures", "signing"}),
        ("securesystemslib", {"signing"}),
        ("jwt", {"webhooks"}),
        ("sqlalchemy", {"results", "service"}),
        ("alembic", {"results"}),
        ("huey", {"service"}),
        ("fastapi", {"service"}),
        ("uvicorn", {"service"}),
    ],
)
def test_libraries_have_one_place(library: str, places: set[str]) -> None:
    users = {
        module_of(file)
        for file in FILES
        for _, name in imports(file.read_text(encoding="utf-8"), package_of(file))
        if name.partition(".")[0] == library
    }
    assert users == places


@pytest.mark.parametrize("name", [*contents(), ENTRANCE])
def test_exported_names_exist(name: str) -> None:
    module = importlib.import_module(f"scanner.{name}")
    missing = [export for export in getattr(module, "__all__", ()) if not hasattr(module, export)]
    assert not missing
    assert module.__doc__, f"scanner.{name} says nothing of itself"


def test_only_the_command_line_prints_and_exits() -> None:
    wrong = [
        f"{file.relative_to(PACKAGE)}:{node.lineno}"
        for file in FILES
        if module_of(file) not in ("cli", ENTRANCE)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.exit", "exit", "quit", "os._exit")
    ]
    assert not wrong
