"""The repositories of managers, for ``cgscan doctor --discover``: a ``cgscan.yaml`` with what was found as comments.

The whole text is YAML, so that it can be redirected into the file. JSON has the same as ``cgscan-discovery/1``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import yaml
from tabulate import tabulate

from scanner.checkup import Behind, Discovered, Discovery, Proposal
from scanner.formats.json_ import written
from scanner.formats.text import shown
from scanner.manager import Holds
from scanner.report import plain

SCHEMA: Final = "cgscan-discovery/1"
_NOTHING: Final = "# no proxy of Chainguard or PyPI is among them, so there is nothing to write"


def render(found: Sequence[Discovery], format: str) -> str:  # noqa: A002 - the word of the command line
    """One of ``table`` and ``json``."""
    if format == "json":
        return written({"schema": SCHEMA, "managers": [_object(one) for one in found]})
    lines = [line for one in found for line in _comments(one)]
    proposals = [proposal for one in found for proposal in one.proposals]
    return "\n".join([*lines, *_fragment(proposals)]) + "\n"


def _comments(one: Discovery) -> Iterator[str]:
    count = f"{len(one.repositories)} Python repositor{'y' if len(one.repositories) == 1 else 'ies'}"
    yield f"# {shown(one.kind)} at {shown(one.where)}: {count}"
    rows = [(shown(row.repository.name), row.repository.holds.value, _behind(row)) for row in one.repositories]
    table = tabulate(rows, tablefmt="plain", disable_numparse=True)
    yield from (f"#   {line}".rstrip() for line in table.splitlines())
    yield from (f"# {shown(row.repository.name)}: {row.remark}" for row in one.repositories if row.remark)
    if not any(row.behind is Behind.CHAINGUARD for row in one.repositories):
        yield "# none is a proxy of Chainguard alone; its remote URL would be https://libraries.cgr.dev/"


def _behind(row: Discovered) -> str:
    if row.behind is Behind.MIXED:
        members = [f"{shown(name)} ({what.value})" if _tells(what) else shown(name) for name, what in row.sources[:20]]
        more = f" and {len(row.sources) - 20} more" if len(row.sources) > 20 else ""
        return f"asks {', '.join(members)}{more}" if members else "of others"
    if row.behind is Behind.NONE:
        return "what was uploaded"
    remote = shown(row.repository.remote or "")
    if row.behind is Behind.OTHER:
        return f"of {remote}" if remote else "nothing is told of it"
    return f"of {row.behind.value}, {remote}"


def _tells(what: Behind) -> bool:
    return what in (Behind.CHAINGUARD, Behind.PYPI)


def _fragment(proposals: Sequence[Proposal]) -> Iterator[str]:
    if not proposals:
        yield _NOTHING
        return
    said = (pair for one in proposals for pair in one.credentials.items())
    names = sorted({str(name) for key, name in said if key.endswith("_env")})
    if names:
        yield f"# to be set: {', '.join(names)}"
    indexes = [_entry(one) for one in proposals]
    yield yaml.safe_dump({"indexes": indexes}, sort_keys=False, width=1000, allow_unicode=False).rstrip("\n")


def _entry(one: Proposal) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": one.name, "role": one.role.value, "kind": one.kind, "url": one.url}
    if one.built_only:
        entry["built_only"] = True
    return {**entry, **{key: plain(value) for key, value in one.credentials.items()}}


def _object(one: Discovery) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "url": plain(one.where),
        "repositories": [_of_repository(row) for row in one.repositories],
        "indexes": [plain(_entry(proposal)) for proposal in one.proposals],
    }


def _of_repository(row: Discovered) -> dict[str, Any]:
    """``asks`` are the repositories behind a group, in order; null for what is none."""
    sources = [{"name": plain(name), "of": what.value} for name, what in row.sources]
    return {
        "name": plain(row.repository.name),
        "holds": row.repository.holds.value,
        "of": row.behind.value,
        "remote": plain(row.repository.remote),
        "asks": sources if row.repository.holds is Holds.GROUP else None,
        "url": plain(row.url),
        "remark": row.remark or None,
    }
