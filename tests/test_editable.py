"""What backends write to run at every start: known as they write it, with nothing added."""

from __future__ import annotations

import pytest

from scanner.editable import is_known_finder, is_namespace_declaration

MAPPED = (
    "from editables.redirector import RedirectingFinder as F\n"
    "F.install()\n"
    "F.map_module('demo', '/src/demo/__init__.py')"
)


def declaration(package: str, root: str) -> str:
    """The line that the setuptools of this environment writes for a namespace package."""
    installer = pytest.importorskip("setuptools.namespaces").Installer
    made = installer.__new__(installer)
    made._get_root = lambda: root
    return str(made._gen_nspkg_line(package))


@pytest.mark.parametrize("package", ["zope", "zope.deep", "a.b.c"])
@pytest.mark.parametrize("root", ["sys._getframe(1).f_locals['sitedir']", "'/src/lib'"])
def test_namespace_declarations_of_setuptools(package: str, root: str) -> None:
    line = declaration(package, root)
    assert is_namespace_declaration(line.encode())
    assert is_namespace_declaration((line * 2).encode())
    assert not is_namespace_declaration((line + "import evil\n").encode())
    assert not is_namespace_declaration(line.rstrip().encode() + b";import evil\n")
    assert not is_namespace_declaration(line.replace("types.ModuleType", "evil.x").encode())


@pytest.mark.parametrize("data", [b"", b"\n\n", b"# nothing\n", b"/folder\n", b"\xff\n"])
def test_what_declares_no_namespace(data: bytes) -> None:
    assert not is_namespace_declaration(data)


@pytest.mark.parametrize("text", [MAPPED, MAPPED + "\n", MAPPED + "\nF.map_module('other.x', '/src/o.py')"])
def test_the_bootstrap_of_editables(text: str) -> None:
    assert is_known_finder(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        MAPPED + "\nimport evil",
        MAPPED.replace("'demo'", "__import__('evil')"),
        MAPPED.replace("'/src", "'x', evil('/src"),
        MAPPED.replace("F.install()", "F.install(); evil()"),
        "import evil\n" + MAPPED,
        "",
        "MAPPING = {}\n",
        "\ninstall('x', ['evil'])\n",
        "MAPPING = " + "[" * 100_000,
        "\ninstall(" + "(" * 100_000 + ")" * 100_001,
        "\ndef init():\n    finder = MesonpyMetaFinder(\n",
    ],
)
def test_what_is_no_known_finder(text: str) -> None:
    assert not is_known_finder(text.encode())


def test_odd_escapes_warn_nobody(recwarn: pytest.WarningsRecorder) -> None:
    assert not is_known_finder(b"\ninstall('\\d')\n")
    assert not recwarn.list


def test_bytes_that_are_no_text() -> None:
    assert not is_known_finder(b"\xff\xfe")
