"""What the documentation shows of SARIF and SBOMs is what is written.

After a wished change write the examples anew: ``CGSCAN_GOLDEN=write pytest tests/formats/test_examples.py``
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import html5lib  # type: ignore[import-untyped]
import pytest

from scanner.difference import WORSE, Difference, difference, failed
from scanner.distribution import Finding, FindingKind
from scanner.formats import FORMATS, differences, render
from scanner.formats.text import Look
from scanner.index import Evidence
from tests.reports import SITE, a_line, a_report, an_example, verified_line

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


def opened() -> str:
    """What the page says of a changed distribution: the line that opens, and the first of what is below."""
    document = html5lib.HTMLParser(namespaceHTMLElements=False).parse(render([an_example()], "html"))
    [body] = [
        one for one in document.iter("tbody") if one.get("class") == "row" and one.get("data-integrity") == "modified"
    ]

    def said(element: Any) -> str:
        return " ".join("".join(element.itertext()).split())

    line, more = body.findall("tr")
    wanted = [*more.iterfind(".//p"), *more.iterfind(".//h3")]
    told = [
        one
        for one in more.iter()
        if one in wanted or one.tag == "div" or (one.tag == "li" and one.find("strong") is not None)
    ]
    texts = []
    for one in told:
        if one.tag == "li":
            texts.append(f"{said(one.find('strong'))} {said(one.find('code'))}")
        elif one.tag == "div":
            texts.append(f"{said(one.find('dt'))} {said(one.find('dd'))}")
        else:
            texts.append(said(one))
    return "\n".join(["  ".join(filter(None, map(said, line))), *texts])


def test_the_example_of_the_page_is_real() -> None:
    docs = (DOCS / "html.md").read_text("utf-8")
    block = f"```text\n{opened()}\n```\n"
    if os.environ.get("CGSCAN_GOLDEN") == "write":
        docs = re.sub(r"```text\n.*?```\n", lambda _: block, docs, count=1, flags=re.DOTALL)
        (DOCS / "html.md").write_text(docs, "utf-8")
    assert block in docs


def shown(name: str) -> tuple[str, str]:
    """What ``docs/formats.md`` shows of a format: the language of its block, and the text."""
    text = render([an_example()], name)
    match name:
        case "json":
            line = next(one for one in json.loads(text)["distributions"] if one["integrity"] == "modified")
            return "json", f"{json.dumps(line, indent=2)}\n"
        case "yaml":
            return "yaml", re.findall(r"^summary:\n(?: .*\n|- .*\n)+", text, re.MULTILINE)[0]
        case "markdown":
            return "markdown", text.partition("\n### Findings")[0] + "\n"
        case "sarif":
            results = json.loads(text)["runs"][0]["results"]
            one = next(each for each in results if each["ruleId"] == "integrity-modified")
            return "json", _short(one, "ruleId", "level", "message", "locations", "partialFingerprints")
        case "cyclonedx":
            return "json", _short(component(), "type", "name", "version", "purl", "hashes")
        case "spdx":
            return "json", _short(package(), "SPDXID", "name", "versionInfo", "checksums", "externalRefs")
        case "html":
            return "text", opened() + "\n"
        case _:
            return "text" if name == "table" else name, text


def _short(value: Any, *keys: str) -> str:
    return json.dumps({key: value[key] for key in keys if key in value}, indent=2) + "\n"


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_shown_with_a_real_example(name: str) -> None:
    page = DOCS / "formats.md"
    before, start, rest = page.read_text("utf-8").partition(f"<!-- {name}:start -->\n")
    old, end, after = rest.partition(f"<!-- {name}:end -->")
    assert end
    language, text = shown(name)
    block = f"````{language}\n{text}````\n"
    if os.environ.get("CGSCAN_GOLDEN") == "write":
        page.write_text(f"{before}{start}{block}{end}{after}", "utf-8")
    else:
        assert old == block


def compared() -> str:
    """``flask`` fell back and ``urllib3`` rose from one release to the next, and a start-up file came."""
    same = verified_line("certifi", "2024.2.2")
    stray = Finding(
        kind=FindingKind.UNOWNED_FILE, path=f"{SITE}/sitecustomize.py", layer=3, detail="no distribution has it"
    )
    before = a_report(same, verified_line("flask", "3.0.2"), a_line("urllib3", "2.2.1"))
    after = a_report(same, a_line("flask", "3.0.3", layer=3), verified_line("urllib3", "2.2.1"), findings=[stray])
    after = replace(after, target=replace(after.target, reference="registry.example.com/shop/billing:1.5"))
    target = difference(before, after, minimum=Evidence.SBOM)
    found = Difference(targets=(target,), failed=failed([target], WORSE))
    return differences.render(found, [(before, after)], "table", Look())


def test_the_example_of_a_difference_is_real() -> None:
    docs = (DOCS / "diff.md").read_text("utf-8")
    command = "$ cgscan diff before.json after.json --fail-on-change worse\n"
    block = f"```text\n{command}{compared()}```\n"
    if os.environ.get("CGSCAN_GOLDEN") == "write":
        docs = re.sub(r"```text\n.*?```\n", lambda _: block, docs, count=1, flags=re.DOTALL)
        (DOCS / "diff.md").write_text(docs, "utf-8")
    assert block in docs


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
