"""Generated entry-point scripts: does one do what ``entry_points.txt`` says, and nothing else?

Installers write them, each in its own words, so there are no bytes to compare with. What they do is always
the same: fix ``sys.argv[0]``, import one object of one module, call it and exit with what it gives (binary
distribution format, "Recommended installer features"; entry points specification). So the script is
parsed, never run, and anything but those steps is a difference.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_ENTRY = re.compile(r"\s*(?P<name>[^=\s][^=]*?)\s*=\s*(?P<module>[\w.]+)\s*:\s*(?P<object>[\w.]+)\s*(\[.*\])?\s*")
_HARMLESS: Final = (
    ast.Module, ast.If, ast.Expr, ast.Assign, ast.Import, ast.ImportFrom, ast.alias, ast.Compare, ast.Eq, ast.Constant,
    ast.Call, ast.Attribute, ast.Name, ast.Subscript, ast.Slice, ast.UnaryOp, ast.USub, ast.Load, ast.Store,
)  # fmt: skip
_METHODS: Final = frozenset({"argv", "exit", "sub", "endswith", "removesuffix"})
_LONGEST: Final = 16 * 1024
_PATH: Final = rb"[^\s\0-\x1f\x7f\"'`$;&|<>()\\]*(?:python|pypy)[^\s\0-\x1f\x7f\"'`$;&|<>()\\/]*"
_QUOTED: Final = rb"\"[^\0-\x1f\x7f\"'`$;&|<>()\\]*(?:python|pypy)[^\0-\x1f\x7f\"'`$;&|<>()\\/ ]*\""
SHEBANG = re.compile(
    rb"#!" + _PATH + rb"(?: -[A-Za-z]+)?\r?\n"
    # pypa/installer as Bazel's rules_python calls it: nobody runs the script by itself
    rb"|#!/dev/null\n"
    # the trampoline for long paths and paths with spaces (distlib, uv), and uv's relocatable one
    + rb"|#!/bin/sh\n'''exec' (?:" + _PATH + rb"|" + _QUOTED
    + rb"|\"\$\(dirname -- \"\$\(realpath -- \"\$0\"\)\"\)\"/'?(?:python|pypy)[0-9.a-z]*'?)"
    + rb" \"\$0\" \"\$@\"\n' '''\n"
)  # fmt: skip
"""The first lines of a Python script as pip and uv write them: nothing else can hide in a match."""


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """One script of ``console_scripts`` or ``gui_scripts``: its file name and ``module:object``."""

    name: str
    module: str
    object: str


def entry_points(text: bytes) -> Iterator[EntryPoint]:
    """The scripts that installers make from ``entry_points.txt``; lines that are none are passed over."""
    section = ""
    for line in text[: 1024 * 1024].decode("utf-8", "replace").splitlines():
        bare = line.strip()
        if bare.startswith("["):
            section = bare.strip("[] ")
        elif section in ("console_scripts", "gui_scripts") and not bare.startswith(("#", ";")):
            found = _ENTRY.fullmatch(bare)
            if found and "/" not in found["name"]:
                yield EntryPoint(found["name"], found["module"], found["object"])


def does(script: bytes, entry: EntryPoint) -> bool:
    """Whether a script does just what installers make of the entry point."""
    shebang = SHEBANG.match(script)
    if not shebang or len(script) > _LONGEST:
        return False
    try:
        tree = ast.parse(script[shebang.end() :])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    nodes = list(ast.walk(tree))
    first = entry.object.partition(".")[0]
    return (
        all(isinstance(node, _HARMLESS) for node in nodes)
        and _imports(nodes, entry.module, first)
        and all(_is_known_name(node, first) for node in nodes)
        and _stores_only_argv(nodes)
        and _calls_only(nodes, entry.object)
        and _ends_in_exit(tree, entry.object)
    )


def _imports(nodes: list[ast.AST], module: str, first: str) -> bool:
    """``import re, sys`` and ``from module import object``, under their own names."""
    plain = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return (
        all(alias.name in ("re", "sys") and alias.asname is None for alias in plain)
        and len(froms) == 1
        and (froms[0].module, froms[0].level) == (module, 0)
        and [(alias.name, alias.asname) for alias in froms[0].names] == [(first, None)]
    )


def _is_known_name(node: ast.AST, first: str) -> bool:
    return not isinstance(node, ast.Name) or node.id in ("re", "sys", "__name__", first)


def _stores_only_argv(nodes: list[ast.AST]) -> bool:
    """The only thing that is set is ``sys.argv[0]``."""
    targets = [target for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
    return all(ast.unparse(target) == "sys.argv[0]" for target in targets)


def _calls_only(nodes: list[ast.AST], wanted: str) -> bool:
    """``sys.exit``, ``re.sub``, methods of ``sys.argv[0]``, and the object itself without arguments."""
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        function = ast.unparse(node.func)
        own = function == wanted and not node.args and not node.keywords
        known = function in ("sys.exit", "re.sub") or re.fullmatch(r"sys\.argv\[0\]\.(endswith|removesuffix)", function)
        if not own and not known:
            return False
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return attributes <= _METHODS | set(wanted.split(".")[1:])


def _ends_in_exit(tree: ast.Module, wanted: str) -> bool:
    """``sys.exit(object())`` as the last step, bare or under ``if __name__ == "__main__"``."""
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.If) and ast.unparse(last.test) == "__name__ == '__main__'" and not last.orelse:
        last = last.body[-1]
    return isinstance(last, ast.Expr) and ast.unparse(last.value) == f"sys.exit({wanted}())"
