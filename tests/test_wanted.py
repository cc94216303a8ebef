"""What a snapshot is to have: lists, names, reports and what a proxy holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from scanner.errors import ConfigError, UsageError
from scanner.image import Platform
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.manager import Retrieved
from scanner.report import Integrity, Origin, as_object
from scanner.wanted import Want, wants_of_report, wants_of_requirements, wants_of_retrieved, wants_of_words
from tests.reports import a_line, a_match, a_report

HERE = Platform.parse("linux/arm64")


def listed(tmp_path: Path, text: str, limits: Limits = DEFAULT_LIMITS) -> list[tuple[str, str]]:
    path = tmp_path / "requirements.txt"
    path.write_text(text)
    wants = wants_of_requirements(path, HERE, limits=limits)
    assert {want.platform for want in wants} <= {HERE}
    return [(want.project, str(want.version)) for want in wants]


def test_lines_of_a_requirements_file(tmp_path: Path) -> None:
    text = """\ufeff# made by a tool
--index-url https://user:secret@host/simple
-i https://host/simple
--only-binary=:all:
Flask[async]==3.0.2 ; python_version >= "3.8"  # why not
numpy === 2.1.0 \\
    --hash=sha256:00 \\
    --hash=sha256:11
    # the last one
zope.interface==7.0"""
    assert listed(tmp_path, text) == [("flask", "3.0.2"), ("numpy", "2.1.0"), ("zope-interface", "7.0")]
    assert listed(tmp_path, "") == []


def test_all_faults_are_told_with_their_lines(tmp_path: Path) -> None:
    text = "a==1\nb\nc>=1,<2 \\\n  # or so\n-r other.txt\n-ehttps://u:secret@host/x\n./local.whl\nd==1.*\ne==one"
    with pytest.raises(ConfigError) as told:
        listed(tmp_path, text)
    assert [fault.partition(":")[0] for fault in told.value.faults] == [
        f"line {number}" for number in (2, 3, 5, 6, 7, 8, 9)
    ]
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("name", ["uv.lock", "poetry.lock", "pylock.toml", "pylock.dev.toml", "Pipfile.lock"])
def test_lock_files_are_not_read_yet(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(UsageError, match="not read yet"):
        wants_of_requirements(tmp_path / name, HERE, limits=DEFAULT_LIMITS)


def test_a_file_is_bounded_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="limit kept_total"):
        listed(tmp_path, "a==1\n" * 10, Limits(kept_total=20))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="no text in UTF-8"):
        wants_of_requirements(tmp_path / "binary", HERE, limits=DEFAULT_LIMITS)


def test_names() -> None:
    assert list(wants_of_words(["Zope.Interface", "b==1.0"], HERE)) == [
        Want(project=canonicalize_name("zope-interface"), platform=HERE),
        Want(project=canonicalize_name("b"), version=Version("1"), platform=HERE),
    ]


def test_what_a_proxy_holds() -> None:
    held = [
        Retrieved(project=canonicalize_name("a"), version=version, filename="", repository="", path="", identity="")
        for version in ("1.0", None, "none")
    ]
    assert list(wants_of_retrieved(held)) == [Want(project=canonicalize_name("a"), version=Version("1.0"))]


def test_a_report_or_several(tmp_path: Path) -> None:
    match = a_match(filename="demo_one-1.0-py3-none-any.whl")
    line = a_line("Demo_One", "1.0", environment="/usr/lib/python3.11/site-packages", match=match)
    line = replace(line, origin=Origin.CHAINGUARD, integrity=Integrity.MODIFIED)
    lines = [line, replace(line, integrity=Integrity.INTACT, environment=None), replace(line, origin=Origin.OS)]
    report = a_report(*lines)
    one = as_object(replace(report, target=replace(report.target, platform="linux/arm64")))
    path = tmp_path / "report.json"
    wants = []
    for written in (one, [one, one]):
        path.write_text(json.dumps(written))
        wants.append(wants_of_report(path, limits=DEFAULT_LIMITS))
    changed, whole = wants[0]
    assert wants[1] == wants[0] * 2
    assert changed == Want(
        project=canonicalize_name("demo-one"),
        version=Version("1.0"),
        environment="/usr/lib/python3.11/site-packages",
        platform=HERE,
        whole=frozenset({"demo_one-1.0-py3-none-any.whl"}),
    )
    assert (whole.environment, whole.whole) == ("", frozenset())
