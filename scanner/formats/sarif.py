"""``sarif``: SARIF 2.1.0 (OASIS, errata 01) for code scanning and other readers of static analysis.

One run for each target. Results are what the table has under "To look at", and every finding; a verified distribution
is none. What is as in the last scan has the same fingerprint: it is made of the rule, the image without its tag, the
environment and the name, never of a layer's number, a version, an order or a time.
Limits are those of GitHub's code scanning: 25,000 results of a run (5,000 are shown), 20 runs, 10 MB gzipped.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from scanner.distribution import Finding
from scanner.formats import facts, sentences
from scanner.formats.json_ import written
from scanner.formats.rules import BY_ID, LEVELS, RULES, Rule, level_of, rule_id, rule_of
from scanner.formats.target import TargetName, name_of
from scanner.formats.text import Look, escaped, shown
from scanner.report import DistributionLine, Kind, Report, valid_text

_Object: TypeAlias = dict[str, Any]

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_MOST_RESULTS: Final = 25_000
_SHOWN_RESULTS: Final = 5_000
_MOST_RUNS: Final = 20
_MOST_BYTES: Final = 10_000_000
_MOST_FILES: Final = 100
_VIOLATIONS_AT_MOST: Final = 100
_LIMIT: Final = {
    "id": "code-scanning-limit",
    "name": "CodeScanningLimit",
    "shortDescription": {"text": "More than code scanning takes."},
    "fullDescription": {"text": "GitHub's code scanning bounds runs, results and bytes of a file."},
    "help": {"text": "The formats json and csv have everything."},
}
_ACTIVE: Final = re.compile(r"\](?=\()|\{(?=\d)")
"""What a link (``[text](target)``) and a placeholder (``{0}``) cannot do without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """One result. ``identity`` is what makes it the same one in another scan."""

    rule: Rule
    level: str
    identity: tuple[str, ...]
    value: _Object


def render(reports: Sequence[Report], _look: Look) -> str:
    """One log; of many results the gravest ones, as many as code scanning takes."""
    names = [name_of(report.target) for report in reports]
    results = [_by_gravity(_results(report, name)) for report, name in zip(reports, names, strict=True)]
    most = _MOST_RESULTS
    while True:
        text = written(_log(reports, names, results, most))
        if most <= 1 or len(gzip.compress(text.encode(), 6)) <= _MOST_BYTES:
            return text
        most //= 2


def render_new(pairs: Sequence[tuple[Report, Report]]) -> str:
    """A log of what is in the second report of each pair and not, or not the same, in the first.

    Each result says ``new`` or ``updated`` as its ``baselineState``. What is absent or unchanged is only counted:
    readers that do not know baselines, code scanning among them, would open an alert for it.
    """
    reports = [after for _, after in pairs]
    names = [name_of(report.target) for report in reports]
    compared = [_against(before, after, name) for (before, after), name in zip(pairs, names, strict=True)]
    log = _log(reports, names, [found for found, _ in compared], _MOST_RESULTS)
    for run, (_, states) in zip(log["runs"], compared, strict=True):
        run["properties"]["baseline"] = states
    return written(log)


def _against(before: Report, after: Report, name: TargetName) -> tuple[list[_Result], dict[str, int]]:
    """The results of ``after`` that are not in ``before`` as they are, and how many there are of each state."""
    known = {_fingerprint(one): one.value["message"]["text"] for one in _by_gravity(_results(before, name))}
    states = dict.fromkeys(("new", "updated", "unchanged", "absent"), 0)
    found = []
    for one in _by_gravity(_results(after, name)):
        message = known.pop(_fingerprint(one), None)
        state = "new" if message is None else "unchanged" if message == one.value["message"]["text"] else "updated"
        states[state] += 1
        if state != "unchanged":
            found.append(replace(one, value={**one.value, "baselineState": state}))
    states["absent"] = len(known)
    return found, states


def _fingerprint(result: _Result) -> str:
    return str(result.value["partialFingerprints"]["cgscan/v1"])


def _log(
    reports: Sequence[Report], names: Sequence[TargetName], results: Sequence[Sequence[_Result]], most: int
) -> _Object:
    categories: Counter[str] = Counter()
    runs = []
    for report, name, found in zip(reports, names, results, strict=True):
        category = _category(report, name)
        categories[category] += 1
        again = f"{categories[category]}/" if categories[category] > 1 else ""
        said = list(_notifications(len(found), most, len(reports)))
        runs.append(_run(report, found[:most], f"{category}{again}", said))
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": runs}


def _category(report: Report, name: TargetName) -> str:
    """What code scanning keeps runs apart by; ends with a slash, so that no part of it is taken for a run's number."""
    parts = ("cgscan", escaped(name.path), escaped(report.target.platform or ""))
    return "".join(f"{part}/" for part in parts if part)


def _run(report: Report, results: Sequence[_Result], category: str, said: Sequence[str]) -> _Object:
    summary, target = report.summary, report.target
    numbers = {rule.id: number for number, rule in enumerate(RULES)}
    return {
        "tool": {"driver": _driver(report)},
        "automationDetails": {"id": category, "description": {"text": _text(sentences.target_in_words(report))}},
        "invocations": [_invocation(report, said)],
        "columnKind": "unicodeCodePoints",
        "results": [{**result.value, "ruleIndex": numbers[result.rule.id]} for result in results],
        "properties": {
            "reference": escaped(target.reference),
            "digest": target.digest and escaped(target.digest),
            "platform": target.platform and escaped(target.platform),
            "coverage": summary.coverage,
            "applicable": summary.applicable,
            "verified": summary.verified,
            "upgradable": summary.upgradable,
            "distributions": summary.distributions,
            "hidden": sum(line.hidden for line in report.distributions),
            "findings": len(report.findings),
            "passed": summary.passed,
            "violations": [escaped(text) for text in summary.violations[:_VIOLATIONS_AT_MOST]],
        },
    }


def _driver(report: Report) -> _Object:
    version = report.tool["version"]
    return {
        "name": "cgscan",
        "version": version,
        "semanticVersion": version,
        "fullName": f"cgscan {version}",
        "shortDescription": {"text": "Proves which build of every Python distribution an image runs."},
        "rules": [_descriptor(rule) for rule in RULES],
        "notifications": [_LIMIT],
    }


def _descriptor(rule: Rule) -> _Object:
    properties: _Object = {"tags": ["security", "supply-chain", rule.id.partition("-")[0]], "precision": "very-high"}
    if rule.severity:
        properties["security-severity"] = f"{rule.severity:.1f}"
    return {
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": rule.what},
        "help": {
            "text": f"{rule.what} {rule.do} See {rule.page} of cgscan's documentation.".replace("`", ""),
            "markdown": f"{rule.what}\n\n**What to do:** {rule.do}\n\nSee `{rule.page}` of cgscan's documentation.",
        },
        "defaultConfiguration": {"level": rule.level},
        "properties": properties,
    }


def _invocation(report: Report, said: Sequence[str]) -> _Object:
    notifications = [
        {"level": "warning", "message": {"text": text}, "descriptor": {"id": _LIMIT["id"], "index": 0}} for text in said
    ]
    return {
        "executionSuccessful": True,
        "exitCode": 0 if report.summary.passed else 1,
        "exitCodeDescription": "the policy holds" if report.summary.passed else "the policy does not hold",
        "startTimeUtc": report.scanned_at,
        "toolExecutionNotifications": notifications,
    }


def _notifications(found: int, most: int, runs: int) -> Iterator[str]:
    """What a reader would otherwise not know to be missing."""
    if found > most:
        yield f"{found - most} of {found} results are left out, the least grave ones; the format json has all of them."
    if min(found, most) > _SHOWN_RESULTS:
        yield f"GitHub shows the gravest {_SHOWN_RESULTS} of {min(found, most)} results."
    if runs > _MOST_RUNS:
        yield f"GitHub takes at most {_MOST_RUNS} runs in one file, and this one has {runs}."


# -- results ---------------------------------------------------------------------------------------


def _by_gravity(results: Iterator[_Result]) -> list[_Result]:
    """The gravest first, then as they come; each with its fingerprint."""
    ordered = sorted(results, key=lambda result: (LEVELS.index(result.level), -result.rule.severity))
    seen: Counter[str] = Counter()
    for result in ordered:
        digest = hashlib.sha256("\0".join(map(valid_text, result.identity)).encode()).hexdigest()[:32]
        seen[digest] += 1
        value = f"{digest}:{seen[digest]}"
        result.value["partialFingerprints"] = {"cgscan/v1": value, "primaryLocationLineHash": value}
    return ordered


def _results(report: Report, name: TargetName) -> Iterator[_Result]:
    minimum = sentences.minimum_of(report)
    for line in sentences.to_look_at(report):
        yield _of_distribution(line, report, name, sentences.verdict(line, minimum))
    for finding in report.findings:
        yield _of_finding(finding, report, name)


def _of_distribution(line: DistributionLine, report: Report, name: TargetName, verdict: str) -> _Result:
    rule, purl = rule_of(line), facts.purl_of(line, report)
    where = line.environment if line.kind is Kind.INSTALLED and line.environment else line.location
    logical = {
        "name": shown(line.name),
        "fullyQualifiedName": purl.to_string() if purl else escaped(sentences.label(line)),
        "kind": "package",
    }
    value: _Object = {
        "ruleId": rule.id,
        "level": level_of(line),
        "message": {"text": _text(f"{sentences.label(line)} is {verdict}: {line.reason}{_offer(line)}")},
        "locations": [_location(line.location, line.layer, report, name, [logical])],
        "properties": _properties(line),
    }
    if changed := list(_changed_files(line, report, name)):
        value["relatedLocations"] = changed
    identity = (rule.id, name.path, line.kind.value, where, line.name)
    return _Result(rule=rule, level=value["level"], identity=identity, value=value)


def _offer(line: DistributionLine) -> str:
    """What Chainguard has instead."""
    offers = [line.available.same_version, sentences.remediated(line)]
    told = " and ".join(filter(None, offers))
    return f"; Chainguard offers {told}" if told else ""


def _changed_files(line: DistributionLine, report: Report, name: TargetName) -> Iterator[_Object]:
    changed = [file for file in line.files if file.state == "modified"]
    for number, file in enumerate(changed[:_MOST_FILES]):
        said = f"changed: {file.note}" if file.note else "changed"
        yield {
            **_location(file.path, file.layer, report, name, []),
            "id": number,
            "message": {"text": _text(f"{file.path}: {said}")},
        }


def _of_finding(finding: Finding, report: Report, name: TargetName) -> _Result:
    rule = BY_ID[rule_id(finding.kind)]
    value: _Object = {
        "ruleId": rule.id,
        "level": rule.level,
        "message": {"text": _text(f"{finding.path}: {finding.detail}")},
        "locations": [_location(finding.path, finding.layer, report, name, [])],
    }
    return _Result(rule=rule, level=rule.level, identity=(rule.id, name.path, finding.path), value=value)


def _properties(line: DistributionLine) -> _Object:
    match = line.match
    values = {
        "name": line.name,
        "version": line.version,
        "kind": line.kind.value,
        "origin": line.origin.value,
        "integrity": line.integrity.value,
        "evidence": match.evidence.value if match and match.evidence else None,
        "wheel": match.filename if match else None,
        "wheelSha256": match.sha256 if match else None,
        "available": line.available.same_version,
        "remediated": line.available.remediated,
    }
    return {key: escaped(value) for key, value in values.items() if value is not None}


# -- locations -------------------------------------------------------------------------------------


def _location(path: str, layer: int | None, report: Report, name: TargetName, logical: Sequence[_Object]) -> _Object:
    """A path of the target. The line is 1: a result is about the whole file, and code scanning wants a line."""
    places = [*logical, *_layer(layer, report)]
    location: _Object = {
        "physicalLocation": {"artifactLocation": {"uri": name.uri_of(path)}, "region": {"startLine": 1}},
        "message": {"text": _text(path)},
    }
    return {**location, "logicalLocations": places} if places else location


def _layer(layer: int | None, report: Report) -> Iterator[_Object]:
    """The layer by its digest, which is the same in every image that has it."""
    if layer is None or layer >= len(report.target.layers):
        return
    line = report.target.layers[layer]
    properties = {"created_by": shown(line.created_by)} if line.created_by else {}
    yield {
        "name": f"layer {layer}",
        "fullyQualifiedName": escaped(line.diff_id),
        "kind": "layer",
        **({"properties": properties} if properties else {}),
    }


def _text(text: str) -> str:
    """A message in which nothing is a link or a placeholder (SARIF 2.1.0, sections 3.11.5 and 3.11.6).

    Readers differ in what they make of the escapes for both, so what would be one is broken by a space.
    """
    return _ACTIVE.sub(lambda start: f"{start[0]} ", shown(text))
