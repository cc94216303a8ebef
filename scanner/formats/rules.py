"""What SARIF says of each verdict and finding: one rule for every origin, integrity and kind of finding.

A rule's id is the word with its group before it: ``origin-upstream``, ``integrity-modified``,
``finding-planted-sbom``. Words that are no fault by themselves have rules too, so that a reader finds every word
explained. ``severity`` is the number that code scanning sorts by (CVSS's scale); it says how much such a result
matters, and is no score of a vulnerability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scanner.distribution import FindingKind
from scanner.report import DistributionLine, Integrity, Kind, Origin

ERROR, WARNING, NOTE, NONE = "error", "warning", "note", "none"
LEVELS: Final = (ERROR, WARNING, NOTE, NONE)
"""The gravest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """``title`` and ``what`` say what is the case, ``do`` what to do; ``page`` is a page of the documentation."""

    id: str
    level: str
    severity: float
    title: str
    what: str
    do: str
    page: str

    @property
    def name(self) -> str:
        """The id as one word, ``OriginUpstream``."""
        return "".join(part.capitalize() for part in self.id.split("-"))


def rule_id(word: Origin | Integrity | FindingKind) -> str:
    """The id of the rule for a word."""
    group = {Origin: "origin", Integrity: "integrity", FindingKind: "finding"}[type(word)]
    return f"{group}-{word.value}"


def rule_of(line: DistributionLine) -> Rule:
    """The one rule that a distribution is a result of: changed files are graver than any origin."""
    return BY_ID[rule_id(line.integrity if line.integrity is Integrity.MODIFIED else line.origin)]


def level_of(line: DistributionLine) -> str:
    """The rule's level; at most a note for what only lies there, unless it was changed."""
    rule = rule_of(line)
    lying = line.kind in (Kind.WHEEL, Kind.CACHED) and line.integrity is not Integrity.MODIFIED
    return NOTE if lying and rule.level != NONE else rule.level


def _rule(word: Origin | Integrity | FindingKind, level: str, severity: float, title: str, what: str, do: str) -> Rule:
    page = "docs/verdict.md"
    return Rule(id=rule_id(word), level=level, severity=severity, title=title, what=what, do=do, page=page)


_NOTHING: Final = "Nothing is to be done."
EXPLAIN: Final = "`cgscan explain TARGET NAME` shows it file by file."
_REBUILD: Final = "Rebuild the image with Chainguard's index first and without caches."

_ORIGINS: Final = (
    _rule(
        Origin.CHAINGUARD,
        WARNING,
        3.0,
        "Chainguard's build, on weak evidence",
        "The files are those of a wheel that an index of Chainguard's serves, but what shows that Chainguard built it "
        "is weaker than the policy asks for.",
        "Give PyPI's index too (`--upstream`): it settles what otherwise rests on the SBOM alone.",
    ),
    _rule(
        Origin.UPSTREAM,
        WARNING,
        3.5,
        "PyPI's build is installed",
        "The files are those of a wheel that PyPI serves, also if it came through Chainguard's index as fallback.",
        f"{_REBUILD} Where Chainguard offers this version, the result says so.",
    ),
    _rule(
        Origin.AMBIGUOUS,
        WARNING,
        4.0,
        "Chainguard's and PyPI's build fit equally well",
        "What sets the two builds apart, their metadata and SBOM, is gone; the files that are left are in both.",
        f"Keep `*.dist-info` in the image. {EXPLAIN}",
    ),
    _rule(
        Origin.SOURCE,
        WARNING,
        4.0,
        "Built on the spot from source",
        "The Python code is that of a listed wheel, metadata and compiled files are nobody's: an installer built it.",
        "Install wheels only (`pip install --only-binary :all:`), with an index that has one for this platform.",
    ),
    _rule(
        Origin.OS,
        NONE,
        0.0,
        "Owned by the operating system",
        "A package of dpkg, apk or rpm owns the files. It is not counted in the coverage.",
        _NOTHING,
    ),
    _rule(
        Origin.CONDA,
        NONE,
        0.0,
        "Owned by conda",
        "A conda package owns the files. It is not counted in the coverage.",
        _NOTHING,
    ),
    _rule(
        Origin.LOCAL,
        NONE,
        0.0,
        "A local install",
        "An editable, directory or version-control install that no index explains. It is not counted in the coverage.",
        _NOTHING,
    ),
    _rule(
        Origin.UNKNOWN,
        WARNING,
        6.0,
        "No listed wheel explains the files",
        "Every index was asked, and none has a wheel whose files these are.",
        f"Find out where it was installed from. {EXPLAIN}",
    ),
    _rule(
        Origin.UNCHECKED,
        WARNING,
        5.0,
        "Could not be checked",
        "An index that was needed gave no answer: it was not reachable, refused, or there was none.",
        "Scan again when the index that the result names answers; `cgscan scan -v` says which were asked.",
    ),
)

_INTEGRITIES: Final = (
    _rule(
        Integrity.INTACT,
        NONE,
        0.0,
        "All files as in the wheel",
        "Every file of the wheel is there with its bytes, after what installers do by design.",
        _NOTHING,
    ),
    _rule(
        Integrity.PRUNED,
        NONE,
        0.0,
        "Some files are gone",
        "Some of the wheel's files are gone; every one that is left has its bytes.",
        _NOTHING,
    ),
    _rule(
        Integrity.MODIFIED,
        ERROR,
        8.0,
        "Files were changed after the build",
        "At least one file that is there has other bytes than the wheel that explains the rest.",
        f"Look at the changed files that the result names, and install the distribution anew. {EXPLAIN}",
    ),
    _rule(
        Integrity.NONE,
        NONE,
        0.0,
        "Nothing to compare with",
        "There is no wheel that the files could be compared with.",
        _NOTHING,
    ),
)

_FINDINGS: Final = (
    _rule(
        FindingKind.UNOWNED_FILE,
        WARNING,
        6.5,
        "An importable file that no distribution accounts for",
        "Python can import this file, or runs it at every start, and no wheel and no owner has it.",
        "Find out what put it there: the layer is named. Remove it, or install it as a distribution.",
    ),
    _rule(
        FindingKind.PLANTED_SBOM,
        ERROR,
        9.0,
        "Chainguard's mark on bytes that are not Chainguard's",
        "A distribution carries Chainguard's SBOM or version, and its files are not those of a wheel that it built.",
        f"Treat the distribution as untrusted and find out where it was installed from. {EXPLAIN}",
    ),
    _rule(
        FindingKind.STALE_BYTECODE,
        WARNING,
        5.5,
        "Byte code that does not belong to its source",
        "A `.pyc` does not belong to the source beside it, or nothing lets Python find out whether it does.",
        "Remove it from the image, or compile anew (`python -m compileall`); `--check-bytecode` compares the code.",
    ),
    _rule(
        FindingKind.STALE_METADATA,
        WARNING,
        4.0,
        "Metadata whose files are not there",
        "A second dist-info of a project: the files are those of another version or build.",
        "Remove the leftover; `pip install --target --upgrade` and interrupted uninstalls leave such folders.",
    ),
    _rule(
        FindingKind.DANGLING_LINK,
        NOTE,
        2.0,
        "A link to nothing",
        "A link where Python looks for modules points to what is not in the image.",
        "Scan the image with what is mounted there at run time, or remove the link.",
    ),
    _rule(
        FindingKind.UNREADABLE,
        WARNING,
        5.0,
        "Could not be read",
        "It looked relevant and could not be read; what it holds is not in the report.",
        "See the reason; where a limit was too low, raise it with `--limit`.",
    ),
    _rule(
        FindingKind.OPAQUE_BUNDLE,
        WARNING,
        4.5,
        "A frozen program",
        "The modules inside it cannot be compared with any wheel.",
        "Scan what it was built from, or ship the distributions themselves.",
    ),
    _rule(
        FindingKind.CORRUPT_CACHE,
        NOTE,
        3.0,
        "A cached wheel that is no wheel",
        "A file in a tool's cache has the name of a wheel and cannot be opened as one.",
        "Clear the cache; an image needs none.",
    ),
    _rule(
        FindingKind.UNSAFE_ENTRY,
        ERROR,
        7.5,
        "A layer entry that cannot be applied as written",
        "It leaves the root, loops or lies about its kind. It was left out, and the scan went on.",
        "Find out what wrote the layer. Tools that unpack it may write outside of their folder.",
    ),
    _rule(
        FindingKind.MODIFIED_SCRIPT,
        ERROR,
        8.0,
        "A generated script that does something else",
        "A script for an entry point does not do what `entry_points.txt` says.",
        "Install the distribution anew and find out what changed the script: the layer is named.",
    ),
)

RULES: Final = (*_ORIGINS, *_INTEGRITIES, *_FINDINGS)
BY_ID: Final = {rule.id: rule for rule in RULES}
