"""The pages of ``docs/managers``: what a reader can paste is what the program takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from scanner.config import gather
from scanner.index import Role
from scanner.indexes.kinds import kind_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "managers").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_file_and_the_command_name_the_same_indexes(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    file = tmp_path / "cgscan.yaml"
    file.write_text(text.partition("```yaml\n")[2].partition("```")[0])
    specs = gather({"config": str(file)}, {}).indexes
    assert {spec.role for spec in specs} == {Role.CHAINGUARD, Role.UPSTREAM}
    assert page.stem in {spec.kind for spec in specs}
    for spec in specs:
        assert spec.kind in (None, kind_of(spec.location))
    command = re.search(r"^    (cgscan scan IMAGE (?:\\\n +)?--index(?:.*\\\n)*.*)$", text, re.MULTILINE)
    assert command
    words = shlex.split(command[1])
    assert kind_of(words[words.index("--index") + 1]) == page.stem


def test_every_page_is_linked() -> None:
    linked = set(re.findall(r"\(managers/(\w+)\.md\)", (ROOT / "docs" / "indexes.md").read_text()))
    assert linked == {page.stem for page in PAGES}
