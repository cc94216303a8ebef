"""What the documentation shows of SARIF and SBOMs is what is written.

After a wished change write the examples anew: ``CGSCAN_GOLDEN=write pytest tests/formats/test_examples.py``
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from scanner.formats import render
from tests.reports import an_example

DOCS = Path(__file__).parents[2] / "docs"


def result() -> Any:
    (found,) = [
        each
        for each in json.loads(render([an_example()], "sarif"))["runs"][0]["results"]
        if each["ruleId"] == "origin-upstream"
    ]
    return found


def component() -> Any:
    (found,) = [
        each for each in json.loads(render([an_example()], "cyclonedx"))["components"] if each["name"] == "flask"
    ]
    return found


def package() -> Any:
    (found,) = [each for each in json.loads(render([an_example()], "spdx"))["packages"] if each["name"] == "flask"]
    return found


@pytest.mark.parametrize(
    ("file", "fence", "example"),
    [("sarif.md", "json", result), ("sbom.md", "json cyclonedx", component), ("sbom.md", "json spdx", package)],
)
def test_the_example_is_real(file: str, fence: str, example: Any) -> None:
    docs = (DOCS / file).read_text("utf-8")
    block = f"```{fence}\n{json.dumps(example(), indent=2)}\n```\n"
    if os.environ.get("CGSCAN_GOLDEN") == "write":
        docs = re.sub(rf"```{fence}\n.*?```\n", lambda _: block, docs, flags=re.DOTALL)
        (DOCS / file).write_text(docs, "utf-8")
    assert block in docs
