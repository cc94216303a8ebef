"""``cgscan explain`` as a view for a terminal: the verdict and why, the wheels, then the files, the telling ones first.

Files that are the same everywhere are a number, unless all are asked for. Nothing of a target is shown raw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from scanner.explanation import Account, CandidateLine, ExplainedFile, Explanation, Listed, Side, SideFile, Stand
from scanner.formats.text import ORIGIN_COLORS, Look, many, shorten, shown, wrapped
from scanner.report import DistributionLine, Integrity, Kind, LayerLine
from scanner.vex import FIXED, Fix

_WIDEST: Final = 200
_WIDE: Final = 110
"""Columns from which there is room for more of a digest."""
_AT_MOST: Final = 15
_CANDIDATES_AT_MOST: Final = 8
_FINDINGS_AT_MOST: Final = 20
_FIXES_AT_MOST: Final = 30
_HEADERS: Final = ("installed", "Chainguard", "PyPI", "layer", "state")
_STATES: Final = {
    Stand.MATCHED: "matched",
    Stand.MISSING: "missing",
    Stand.MODIFIED: "modified",
    Stand.GENERATED: "generated",
    Stand.NOT_IN_WHEEL: "not in it",
    Stand.NOT_COMPARED: "",
}
_RECORD_NOTES: Final = {
    Listed.EDITED: "RECORD lists these bytes",
    Listed.OTHER_BYTES: "RECORD lists other bytes",
    Listed.NOT_LISTED: "RECORD does not list it",
}
_SIDES: Final = {"chainguard": "Chainguard's", "upstream": "PyPI's"}


def render(explanations: Sequence[Explanation], look: Look, *, all_files: bool = False) -> str:
    """One explanation after the other, with a rule between them."""
    rule = f"\n{'=' * look.columns}\n\n"
    return rule.join("\n".join(_lines(one, look, all_files=all_files)) + "\n" for one in explanations)


def _lines(explanation: Explanation, look: Look, *, all_files: bool) -> Iterator[str]:
    target = explanation.target
    yield look.paint(shown(target.reference), "bold")
    if target.digest:
        yield f"  {shown(target.digest)}"
    for account in explanation.distributions:
        yield ""
        yield from _head(account.distribution, target.layers, look)
        yield from _why(account, look)
        yield from _candidates(account, look)
        yield from _remediated(account, look)
        yield from _files(account, look, all_files=all_files)
    yield from _findings(explanation, look)


# -- the verdict -----------------------------------------------------------------------------------


def _head(line: DistributionLine, layers: Sequence[LayerLine], look: Look) -> Iterator[str]:
    words = line.origin.value if line.integrity is Integrity.NONE else f"{line.origin.value}, {line.integrity.value}"
    color = "red" if line.integrity is Integrity.MODIFIED else ORIGIN_COLORS[line.origin]
    label = shown(f"{line.name} {line.version}" if line.version else line.name)
    yield f"{look.paint(label, 'bold')}: {look.paint(words, color)}"
    yield f"  {shown(line.location)}"
    parts = [f"{line.kind.value}{f' by {line.installer}' if line.installer else ''}"]
    parts += ["hidden"] if line.hidden else []
    parts += [f"{'part of' if line.kind is Kind.VENDORED else 'owned by'} {line.owner}"] if line.owner else []
    parts += [f"layer {line.layer}"] if line.layer is not None else []
    yield f"  {shown(', '.join(parts))}"
    made = layers[line.layer].created_by if line.layer is not None and line.layer < len(layers) else None
    if made:
        yield f"  {shorten(shown(made), look.columns - 2)}"


def _why(account: Account, look: Look) -> Iterator[str]:
    yield ""
    yield look.paint("Why", "bold")
    for sentence in account.why:
        yield from wrapped(shown(sentence), look.columns, first="  - ", rest="    ")


# -- the wheels ------------------------------------------------------------------------------------


def _candidates(account: Account, look: Look) -> Iterator[str]:
    if not account.candidates:
        return
    yield ""
    yield look.paint(f"Considered ({len(account.candidates)})", "bold")
    ranked = sorted(account.candidates, key=lambda one: (not one.chosen, one.files is None))
    for one in ranked[:_CANDIDATES_AT_MOST]:
        yield from _candidate(one, look)
    more = len(ranked) - _CANDIDATES_AT_MOST
    if more > 0:
        yield f"  and {more} more; see --output json"


def _candidate(one: CandidateLine, look: Look) -> Iterator[str]:
    evidence = f", {one.evidence.value}" if one.evidence else ""
    text = f"{one.filename} of {one.index} ({one.role.value}{evidence}): {one.reason}"
    yield from wrapped(shown(text), look.columns, first="  > " if one.chosen else "    ", rest="      ")


# -- remediated builds -----------------------------------------------------------------------------


def _remediated(account: Account, look: Look) -> Iterator[str]:
    offered = account.distribution.available.remediated
    fixes = account.vex.statements if account.vex is not None else ()
    if offered is None and not fixes:
        return
    yield ""
    yield look.paint("Remediated builds of this release", "bold")
    if offered is not None:
        newest = "this is the newest that Chainguard offers"
        yield f"  {newest if offered == account.distribution.version else f'Chainguard offers {shown(offered)}'}"
    if account.vex is not None:
        said = "says" if fixes else "says nothing of it"
        yield from wrapped(f"{shown(account.vex.feed)} {said}", look.columns, first="  ", rest="    ")
    for fix in fixes[:_FIXES_AT_MOST]:
        yield from wrapped(shown(_fix(fix)), look.columns, first="  - ", rest="    ")
    if len(fixes) > _FIXES_AT_MOST:
        yield f"    and {len(fixes) - _FIXES_AT_MOST} more; see --output json"


def _fix(fix: Fix) -> str:
    names = [*fix.cves, *(name for name in fix.aliases if not fix.cves)] or [fix.vulnerability]
    if fix.here == FIXED:
        words = "fixed here"
    elif fix.fixed_version is not None:
        words = f"fixed in {fix.fixed_version}"
        words += f", and here {_word(fix.here)}" if fix.here is not None else ""
    else:
        words = f"{_word(fix.status)} {'here' if fix.here else 'in another build of this release'}"
    return f"{', '.join(names[:3])}: {words}"


def _word(status: str) -> str:
    return status.replace("_", " ")


# -- the files -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Files that are shown under one title; ``short`` ones are a number unless all files are asked for."""

    title: str
    mark: str
    holds: Callable[[ExplainedFile], bool]
    short: bool = False


def _groups(account: Account) -> tuple[_Group, ...]:
    """The telling ones first. A file is in the first group that holds it."""
    subject = _SIDES.get(account.compared_with or "", "its owner's")
    what = f"{subject} {'wheel' if account.compared_with else 'list'}"
    both = account.chainguard is not None and account.upstream is not None
    apart = "sets the builds apart" if both else "belongs to one build alone"
    return (
        _Group(title=f"{apart}, and speaks for it", mark=">", holds=lambda file: file.speaks_for is not None),
        _Group(title=f"changed: not {subject} bytes", mark="~", holds=lambda file: file.state is Stand.MODIFIED),
        _Group(title="in neither wheel", mark="+", holds=lambda file: _is_beside(file) and both),
        _Group(title="not in the wheel", mark="+", holds=_is_beside),
        _Group(title="compared with nothing", mark=" ", holds=lambda file: file.state is Stand.NOT_COMPARED),
        _Group(title=f"{apart}, and does not speak", mark=" ", holds=lambda file: file.discriminating),
        _Group(title=f"of {what}, and gone", mark="-", holds=lambda file: file.state is Stand.MISSING),
        _Group(title="in the other wheel alone", mark=" ", holds=lambda file: file.state is Stand.NOT_IN_WHEEL),
        _Group(title="the same in all three", mark=" ", holds=_is_everywhere, short=True),
        _Group(title=f"as in {what}", mark=" ", holds=lambda file: file.state is Stand.MATCHED, short=True),
        _Group(title="generated by the installer", mark=" ", holds=lambda _: True, short=True),
    )


def _is_beside(file: ExplainedFile) -> bool:
    return file.member is None and file.state is Stand.NOT_IN_WHEEL


def _is_everywhere(file: ExplainedFile) -> bool:
    sides = (file.chainguard, file.upstream)
    return all(side is not None and side.state is Stand.MATCHED for side in sides)


def _files(account: Account, look: Look, *, all_files: bool) -> Iterator[str]:
    if not account.files:
        return
    table = _Table(account, look)
    yield ""
    yield table.header()
    left = list(account.files)
    for group in _groups(account):
        files = [file for file in left if group.holds(file)]
        left = [file for file in left if not group.holds(file)]
        if not files:
            continue
        if group.short and not all_files:
            yield f"  {many(len(files), 'file')} {group.title}"
            continue
        yield look.paint(f"  {group.title} ({len(files)})", "dim")
        shown_ones = files if all_files else files[:_AT_MOST]
        for file in shown_ones:
            yield from table.row(group.mark, file)
        if len(files) > len(shown_ones):
            yield f"      and {len(files) - len(shown_ones)} more; see --all-files"


class _Table:
    """The columns of one distribution's files."""

    def __init__(self, account: Account, look: Look) -> None:
        self._look = look
        self._line = account.distribution
        columns = min(max(look.width or look.columns, look.columns), _WIDEST)
        self._digest = 12 if columns >= _WIDE else 8
        self._widths = (max(9, self._digest), max(10, self._digest), self._digest, 5, 9)
        room = columns - 4 - sum(self._widths) - 2 * len(self._widths)
        longest = max(len(shown(self._path(file))) for file in account.files)
        self._room = max(min(room, longest), 16)
        self._layered = any(file.layer is not None for file in account.files)
        self._sides = (account.chainguard, account.upstream)

    def header(self) -> str:
        """The names of the columns."""
        title = "Files (sha256)"
        cells = [text.ljust(width) for text, width in zip(_HEADERS, self._widths, strict=True)]
        return self._look.paint(f"{title.ljust(self._room + 4)}  {'  '.join(cells)}".rstrip(), "bold")

    def row(self, mark: str, file: ExplainedFile) -> Iterator[str]:
        """A file, and what is to be said of it."""
        path = shorten(shown(self._path(file)), self._room).ljust(self._room)
        layer = "" if file.layer is None else str(file.layer)
        installed = "generated" if file.state is Stand.GENERATED else "missing"
        if file.installed is not None and file.state is not Stand.GENERATED:
            installed = self._short(file.installed)
        cells = (
            installed,
            self._cell(file.chainguard, self._sides[0]),
            self._cell(file.upstream, self._sides[1]),
            layer.rjust(5),
            _STATES[file.state],
        )
        padded = [text.ljust(width) for text, width in zip(cells, self._widths, strict=True)]
        padded[0] = self._look.paint(padded[0], *self._color(file))
        yield f"  {mark} {path}  {'  '.join(padded)}".rstrip()
        record = _RECORD_NOTES.get(file.record) if file.record and mark in "~+>" and mark != " " else None
        for note in (file.note, record if file.note is None else None):
            if note:
                yield from wrapped(shown(note), self._look.columns, first="      ", rest="      ")

    def _path(self, file: ExplainedFile) -> str:
        """Below the environment, with metadata below a star, because two builds spell its folder differently."""
        location, environment = self._line.location, self._line.environment or _parent(self._line.location)
        if file.path.startswith(location + "/") and location.endswith((".dist-info", ".egg-info")):
            return f"*{location[-10:]}{file.path[len(location) :]}"
        if file.path.startswith(location + "!/"):
            folder, slash, rest = file.path[len(location) + 2 :].partition("/")
            return f"*.dist-info/{rest}" if folder.endswith(".dist-info") else f"{folder}{slash}{rest}"
        return file.path.removeprefix(environment.rstrip("/") + "/")

    def _cell(self, file: SideFile | None, side: Side | None) -> str:
        if side is None:
            return "no wheel" if any(self._sides) else "-"
        return self._short(file.sha256) if file is not None else "-"

    def _short(self, digest: str) -> str:
        return digest.partition(":")[2][: self._digest]

    @staticmethod
    def _color(file: ExplainedFile) -> list[str]:
        if file.state is Stand.MODIFIED:
            return ["red"]
        return [ORIGIN_COLORS[file.speaks_for]] if file.speaks_for else []


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


# -- findings --------------------------------------------------------------------------------------


def _findings(explanation: Explanation, look: Look) -> Iterator[str]:
    if not explanation.findings:
        return
    yield ""
    yield look.paint(f"Findings ({len(explanation.findings)})", "bold")
    for finding in explanation.findings[:_FINDINGS_AT_MOST]:
        layer = "" if finding.layer is None else f"  layer {finding.layer}"
        yield f"  {look.paint(finding.kind.value, 'yellow')}  {shown(finding.path)}{layer}"
        yield from wrapped(shown(finding.detail), look.columns, first="    ", rest="    ")
    if len(explanation.findings) > _FINDINGS_AT_MOST:
        yield f"  and {len(explanation.findings) - _FINDINGS_AT_MOST} more; see --output json"
