"""Generated entry-point scripts, in the words of the installers and in those of an attacker."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures import trees, wheels
from scanner.scripts import EntryPoint, does, entry_points
from tests.scenes import Scene

ENTRY = EntryPoint("tool", "demo.cli", "app.main")
HEAD = b"#!/usr/local/bin/python3.11\n"
FORMS = {
    "pip 20 to 25, distlib, installer": b"""# -*- coding: utf-8 -*-
import re
import sys
from demo.cli import app
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit(app.main())
""",
    "pip 26": b"""import sys
from demo.cli import app
if __name__ == '__main__':
    sys.argv[0] = sys.argv[0].removesuffix('.exe')
    sys.exit(app.main())
""",
    "uv": b"""# -*- coding: utf-8 -*-
import sys
from demo.cli import app
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit(app.main())
""",
}


@pytest.mark.parametrize("form", FORMS)
def test_installers_scripts_do(form: str) -> None:
    assert does(HEAD + FORMS[form], ENTRY)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"import sys\n", b"import sys, os\n"),
        (b"import sys\n", b"import sys\nimport evil\n"),
        (b"import sys\n", b"import evil as sys\n"),
        (b"from demo.cli import app\n", b"from demo.cli import app, other\n"),
        (b"from demo.cli import app\n", b"from demo.evil import app\n"),
        (b"from demo.cli import app\n", b"from .demo.cli import app\n"),
        (b"from demo.cli import app\n", b"from demo.cli import app\nfrom demo import cli\n"),
        (b"from demo.cli import app\n", b"from demo.cli import app\napp.other()\n"),
        (b"from demo.cli import app\n", b"from demo.cli import app\napp.main = sys.exit\n"),
        (b"app.main()", b"app.other()"),
        (b"app.main()", b"app.main('x')"),
        (b"sys.exit(app.main())", b"app.main()"),
        (b"sys.exit(app.main())", b"sys.exit(app.main() or eval('1'))"),
        (b"sys.exit(app.main())", b"sys.exit(app.main())\n    exec(open('/x').read())"),
        (b"__main__", b"__other__"),
        (b"sys.exit(", b"(lambda x: x)("),
    ],
)
def test_any_other_step_does_not(form: str, old: bytes, new: bytes) -> None:
    assert old in FORMS[form]
    assert not does(HEAD + FORMS[form].replace(old, new), ENTRY)


@pytest.mark.parametrize(
    "script",
    [b"", b"#!/bin/sh\necho\n", b"\x7fELF", HEAD, HEAD + b"(" * 9000, HEAD + b"\0", HEAD + b"x = " + b"-" * 9000],
)
def test_what_is_no_such_script(script: bytes) -> None:
    assert not does(script, ENTRY)


def test_entry_points_are_read_whatever_else_is_there() -> None:
    console = b"[console_scripts]\n# c = x:y\ntool = demo.cli:app.main [extra]\n../x = a:b\nbroken\n"
    text = console + b"[gui_scripts]\ng=m:f\n[other]\nz=m:f\n"
    assert list(entry_points(text)) == [EntryPoint("tool", "demo.cli", "app.main"), EntryPoint("g", "m", "f")]


@pytest.mark.parametrize("by", ["pip", "uv"])
def test_real_installers_scripts_are_no_finding_and_changed_ones_are(tmp_path: Path, by: trees.Installer) -> None:
    wheel = wheels.make_wheel(
        tmp_path / "w",
        "demo",
        "1.0",
        {"demo/__init__.py": b"", "demo/cli.py": b"def main():\n    return 0\n"},
        entry_points="[console_scripts]\ndemo-run = demo.cli:main\n",
    )
    scene = Scene(tmp_path)
    trees.install([wheel], scene.root, by=by)
    script = scene.root / "usr/local/bin/demo-run"
    assert scene.judge([], [wheel]).findings == []
    script.write_bytes(script.read_bytes().replace(b"import sys\n", b"import sys\nimport evil\n"))
    judged = scene.judge([], [wheel])
    assert judged.kinds == ["modified-script"]
    assert judged.words == ("upstream", "intact")
    script.write_bytes(b"\x7fELF no script at all")
    assert scene.judge([], [wheel]).kinds == ["modified-script"]
