"""A real image scanned against two indexes, for comparing one way to the same wheels with another; odd answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from scanner.formats import render
from scanner.http import Client
from scanner.index import Role
from scanner.pipeline import Options, scan
from scanner.reference import parse_reference
from tests.repository_managers.vendors import LIMITS, index


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """``lines`` is the report without what says which way the wheels came; ``text`` is all of it."""

    lines: dict[str, Any]
    kinds: list[str]
    text: str


def reported(image: Path, ours: str | Path, upstream: str | Path, client: Client) -> Reported:
    """The report of an OCI layout."""
    indexes = [index(ours, client), index(upstream, client, role=Role.UPSTREAM)]
    reports = scan(parse_reference(f"oci-dir:{image}"), indexes=indexes, options=Options(limits=LIMITS))
    text = render(reports, "json")
    [report] = reports
    document = json.loads(text)
    assert report.summary.verified  # else two scans that find nothing would be the same
    for key in ("indexes", "scanned_at", "timing"):
        document.pop(key)
    return Reported(lines=_without(document, ("url", "proved")), kinds=[one.kind for one in indexes], text=text)


def _without(value: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _without(one, keys) for key, one in value.items() if key not in keys}
    return [_without(one, keys) for one in value] if isinstance(value, list) else value


_TEXTS = st.sampled_from(
    [
        "",
        "python-chainguard",
        "remote",
        "PROXY",
        "proxy",
        "group",
        "virtual",
        "pypi",
        "/packages/a/1/a-1-py3-none-any.whl",
        "a-1-py3-none-any.whl",
        "a.tar.gz",
        "http://[",
        "x" * 2000,
        "\udcff\n",
        "2026-99-99T99:99:99Z",
    ]
)


def answers(*keys: str) -> st.SearchStrategy[bytes]:
    """Bodies that are JSON with the keys of an interface and values of any type, or nearly JSON."""
    usual = ("results", "items", "continuationToken", "range", "sha256", "repositories", "proxy", "remoteUrl")
    scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), _TEXTS)
    names = st.sampled_from([*keys, *usual])
    values = st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6), max_leaves=12
    )
    rows = st.lists(st.fixed_dictionaries(dict.fromkeys(keys, values)), max_size=3)
    whole = st.one_of(values, rows, st.fixed_dictionaries({"results": rows}), st.fixed_dictionaries({"items": rows}))
    return whole.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20)
