"""Which entries of real caches of pip and uv hold PyPI's builds, and where the entries of all four tools are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fixtures.wheels import make_wheel
from scanner.stalecopies.tools import Entry, entry_at
from tests import stores

HASHED = f"aa/bb/cc/{'0' * 50}"
ANSWER = f"a/b/c/d/e/abcde{'0' * 51}"


@pytest.mark.parametrize(
    ("location", "entry"),
    [
        ("/c/pip/http-v2/" + ANSWER + ".body", ("pip", "/c/pip", "/c/pip/http-v2/" + ANSWER + ".body")),
        ("/c/pip/http/" + ANSWER + "!/demo-1.0-py3-none-any.whl", ("pip", "/c/pip", "/c/pip/http/" + ANSWER)),
        (f"/c/pip/wheels/{HASHED}/demo-1.0-py3-none-any.whl", ("pip", "/c/pip", None)),
        ("/c/uv/archive-v0/ID/demo-1.0.dist-info", ("uv", "/c/uv", "/c/uv/archive-v0/ID")),
        ("/c/uv/sdists-v9/pypi/demo/1.0/RID/demo-1.0-py3-none-any.whl", ("uv", "/c/uv", None)),
        (f"/c/pypoetry/artifacts/{HASHED}/demo-1.0-py3-none-any.whl", ("poetry", "/c/pypoetry", None)),
        (
            f"/c/pypoetry/cache/repositories/pypi/_http/{ANSWER}!/demo.whl",
            ("poetry", "/c/pypoetry", f"/c/pypoetry/cache/repositories/pypi/_http/{ANSWER}"),
        ),
        (
            "/c/pdm/packages/demo-1.0-py3-none-any.whl.cache/demo-1.0.dist-info",
            ("pdm", "/c/pdm", "/c/pdm/packages/demo-1.0-py3-none-any.whl.cache"),
        ),
        ("/c/pdm/http/http-cache.db!/1", ("pdm", "/c/pdm", "/c/pdm/http/http-cache.db")),
        (f"/c/pdm/http/{ANSWER}", ("pdm", "/c/pdm", f"/c/pdm/http/{ANSWER}")),
        ("/usr/lib/python3/site-packages/demo-1.0.dist-info", None),
        ("/c/virtualenv/wheel/3.11/image/1/CopyPipInstall/pip-26.3-py3-none-any/pip-26.3.dist-info", None),
        ("/c/archive-v0", None),
    ],
)
def test_the_entry_that_a_path_lies_in(location: str, entry: tuple[str, str, str | None] | None) -> None:
    found = entry_at(location)
    if entry is None:
        assert found is None
        return
    tool, root, path = entry
    assert found == Entry(tool=tool, root=root, path=path or location)


def plan_of(folder: Path, chainguard: Path, pypi: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "scanner", "plan", f"dir:{folder}", "--index", str(chainguard)]
    done = subprocess.run(
        [*command, "--upstream", str(pypi), "--no-cache", "-o", "json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    plan: dict[str, Any] = json.loads(done.stdout)
    return plan


def test_what_pip_and_uv_have_kept(tmp_path: Path) -> None:
    """The tools themselves fill their caches with PyPI's builds; Chainguard has one of the two projects."""
    ours, theirs = tmp_path / "chainguard", tmp_path / "pypi"
    code = {name: {f"{name}/__init__.py": f"name = '{name}'\n".encode()} for name in ("built", "absent")}
    pypi = [make_wheel(theirs, name, "1.0", files) for name, files in code.items()]
    make_wheel(ours, "built", "1.0", code["built"], sbom=True, generator="rebuilder 9")
    caches = tmp_path / "caches"
    with stores.cacheable(pypi) as index:
        stores.pip_cache(caches / "pip", index, "built==1.0", "absent==1.0")
        stores.uv_cache(caches / "uv", index, tmp_path / "target", "built==1.0", "absent==1.0")
    plan = plan_of(caches, ours, theirs)
    copies = plan["purge_locally"]
    assert {(copy["tool"], copy["project"], copy["replacement"] is not None) for copy in copies} == {
        ("pip", "built", True),
        ("pip", "absent", False),
        ("uv", "built", True),
        ("uv", "absent", False),
    }
    for copy in copies:
        assert copy["root"] == str(caches / copy["tool"])
        assert copy["filename"] == f"{copy['project']}-1.0-py3-none-any.whl"
        path = Path(copy["path"])
        assert path.is_relative_to(copy["root"])
        if copy["tool"] == "pip":
            assert (path.stat().st_size, path.suffix) == (copy["size"], ".body")
            assert copy["sha256"] is not None
        else:
            assert copy["size"] == sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            assert copy["sha256"] is None
    assert (plan["rebuild"], plan["wait"], plan["coverage"]["now"]) == ([], [], None)


def test_a_chainguard_copy_stays(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "chainguard", "built", "1.0", {"built.py": b""}, sbom=True)
    (tmp_path / "pypi").mkdir()
    with stores.cacheable([wheel]) as index:
        stores.pip_cache(tmp_path / "caches" / "pip", index, "built==1.0")
    plan = plan_of(tmp_path / "caches", tmp_path / "chainguard", tmp_path / "pypi")
    assert plan["purge_locally"] == []
