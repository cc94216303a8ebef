"""Report values for tests: one line, one report, a report with everything in it, any report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from scanner.distribution import Finding, FindingKind
from scanner.index import Evidence, Role
from scanner.policy import Policy, judged
from scanner.report import (
    Available,
    DistributionLine,
    FileCounts,
    FileLine,
    IndexLine,
    Integrity,
    Kind,
    LayerLine,
    MatchLine,
    Origin,
    Report,
    TargetLine,
    summarise,
)

SITE = "/usr/local/lib/python3.12/site-packages"
VENV = "/opt/services/billing-and-invoicing/releases/2026-01/venv/lib/python3.12/site-packages"
HOSTILE = "\x1b[2Jrm\u202e|`@root`<script>\n\udcff"
"""A terminal escape, a bidi override, markdown, HTML, a new line and a byte that is no UTF-8."""

LIBRARIES = IndexLine(
    name="libraries",
    role=Role.CHAINGUARD,
    kind="simple",
    url="https://artifactory.example.com/artifactory/api/pypi/chainguard/simple/",
    built_only=False,
)
PYPI = IndexLine(name="pypi", role=Role.UPSTREAM, kind="simple", url="https://pypi.org/simple/", built_only=False)


def a_match(evidence: Evidence | None = None, **changes: Any) -> MatchLine:
    """A wheel all of whose files are there."""
    match = MatchLine(
        index="libraries",
        filename="requests-2.31.0-py3-none-any.whl",
        sha256=f"sha256:{'ab' * 32}",
        url="https://artifactory.example.com/packages/requests-2.31.0-py3-none-any.whl",
        evidence=evidence,
        proved=False,
        files=FileCounts(matched=40, missing=0, modified=0, generated=3),
    )
    return replace(match, **changes)


def a_line(name: str = "requests", version: str | None = "2.31.0", **changes: Any) -> DistributionLine:
    """An installed distribution of PyPI's bytes."""
    environment = changes.pop("environment", SITE)
    line = DistributionLine(
        name=name,
        version=version,
        kind=Kind.INSTALLED,
        location=f"{environment or '/opt/wheels'}/{name}-{version}.dist-info",
        environment=environment,
        layer=2,
        layers=(2,),
        installer="pip",
        owner=None,
        hidden=False,
        origin=Origin.UPSTREAM,
        integrity=Integrity.INTACT,
        match=a_match(filename=f"{name}-{version}-py3-none-any.whl"),
        files=(),
        available=Available(),
        reason=f"every file is that of {name}-{version}-py3-none-any.whl on pypi",
    )
    return replace(line, **changes)


def verified_line(
    name: str = "flask", version: str | None = "3.0.2", evidence: Evidence = Evidence.NOT_UPSTREAM, **changes: Any
) -> DistributionLine:
    """An installed distribution of Chainguard's bytes."""
    told = {
        "origin": Origin.CHAINGUARD,
        "match": a_match(evidence, filename=f"{name}-{version}-py3-none-any.whl"),
        "reason": "every file is that of Chainguard's wheel",
    }
    return a_line(name, version, **{**told, **changes})


def a_report(
    *lines: DistributionLine,
    findings: Sequence[Finding] = (),
    indexes: Sequence[IndexLine] = (LIBRARIES, PYPI),
    policy: Policy | None = None,
    **changes: Any,
) -> Report:
    """A report of an image of four layers."""
    report = Report(
        scanned_at="2026-03-01T12:00:00Z",
        timing={"layers": 2.25, "indexes": 0.5},
        target=TargetLine(
            reference="registry.example.com/shop/billing:1.4",
            kind="image",
            digest=f"sha256:{'0123456789abcdef' * 4}",
            platform="linux/amd64",
            layers=tuple(_layer(number) for number in range(4)),
        ),
        indexes=tuple(indexes),
        summary=summarise(lines),
        distributions=lines,
        findings=tuple(findings),
    )
    return replace(judged(report, policy or Policy()), **changes)


def _layer(number: int) -> LayerLine:
    return LayerLine(
        diff_id=f"sha256:{number:064x}",
        digest=f"sha256:{number + 16:064x}",
        size=1_000_000 * number,
        media_type="application/vnd.oci.image.layer.v1.tar+gzip",
        created_by=f"RUN step {number}",
    )


def everything() -> Report:
    """Every origin, integrity, kind and finding kind, two environments, hostile names, a broken policy."""
    lines = (*_in_venv(), *_in_site(), *_elsewhere())
    policy = Policy(min_coverage=80, fail_on=frozenset({"unknown", "modified", "planted-sbom"}))
    return a_report(*lines, findings=_findings(), policy=policy)


def an_example() -> Report:
    """The report that ``docs/report.md`` shows."""
    offered = Available(same_version="urllib3-2.2.1-py3-none-any.whl", remediated="2.2.1+cgr.1")
    changed = FileLine(path=f"{SITE}/jinja2/sandbox.py", state="modified", expected=None, actual=None, layer=3)
    lines = (
        verified_line("certifi", "2024.2.2"),
        verified_line("flask", "3.0.2"),
        verified_line(
            "jinja2",
            "3.1.3",
            integrity=Integrity.MODIFIED,
            files=(changed,),
            reason="1 of 58 files has other bytes than Jinja2-3.1.3-py3-none-any.whl on libraries",
        ),
        a_line("urllib3", "2.2.1", available=offered),
        a_line("python-apt", "2.6.0", origin=Origin.OS, integrity=Integrity.NONE, match=None, layer=0),
    )
    finding = Finding(
        kind=FindingKind.UNOWNED_FILE,
        path=f"{SITE}/sitecustomize.py",
        layer=3,
        detail=_DETAILS[FindingKind.UNOWNED_FILE],
    )
    return a_report(*lines, findings=[finding], policy=Policy(min_coverage=80))


def _in_venv() -> tuple[DistributionLine, ...]:
    changed = tuple(
        FileLine(
            path=f"{VENV}/numpy/linalg/module_{number}.py",
            state="modified",
            expected=f"sha256:{'1' * 64}",
            actual=f"sha256:{'2' * 64}",
            layer=3,
            note="newlines" if number == 1 else None,
        )
        for number in range(7)
    )
    same = Available(same_version="urllib3-2.2.1-py3-none-any.whl", remediated="2.2.1+cgr.2")
    refused = "pypi could not be asked: 503 Service Unavailable after 3 tries"
    return (
        verified_line("certifi", "2024.2.2", Evidence.ATTESTED, environment=VENV),
        verified_line(
            "numpy",
            "1.26.4",
            environment=VENV,
            integrity=Integrity.MODIFIED,
            files=(*changed, replace(changed[0], state="missing", actual=None)),
            available=Available(same_version="numpy-1.26.4-cp312-cp312-manylinux_2_28_x86_64.whl"),
            reason="7 of 812 files have other bytes than numpy-1.26.4-cp312-cp312-manylinux_2_28_x86_64.whl",
        ),
        a_line(
            "protobuf", "4.25.3", environment=VENV, origin=Origin.UNCHECKED, integrity=Integrity.NONE, reason=refused
        ),
        a_line("six", "1.16.0", environment=VENV, origin=Origin.UNCHECKED, integrity=Integrity.NONE, reason=refused),
        a_line("urllib3", "2.2.1", environment=VENV, available=same),
    )


def _in_site() -> tuple[DistributionLine, ...]:
    none: dict[str, Any] = {"integrity": Integrity.NONE, "match": None}
    return (
        a_line(
            "a-very-long-project-name-that-goes-on",
            "2024.12.31.post1+local.build.7",
            origin=Origin.AMBIGUOUS,
            integrity=Integrity.PRUNED,
            layer=None,
            reason="the files that are left fit Chainguard's wheel and PyPI's equally well; the dist-info was stripped",
        ),
        a_line(HOSTILE, None, origin=Origin.UNKNOWN, **none, reason=f"no wheel explains {HOSTILE}"),
        verified_line("flask", "3.0.2", Evidence.SBOM),
        verified_line("jinja2", "3.1.3+cgr.1", Evidence.PATH, integrity=Integrity.PRUNED),
        a_line("my-tool", "0.1.0", origin=Origin.LOCAL, **none, reason="an editable install of /src"),
        a_line("openssl-py", "1.0", origin=Origin.CONDA, **none, owner="conda:openssl", reason="conda owns the files"),
        a_line(
            "psycopg2",
            "2.9.9",
            origin=Origin.SOURCE,
            reason="built on the spot: code of the sdist's wheel, own metadata",
        ),
        a_line(
            "python-apt",
            "2.6.0",
            origin=Origin.OS,
            **none,
            owner="dpkg:python3-apt",
            layer=0,
            reason="dpkg owns the files",
        ),
    )


def _elsewhere() -> tuple[DistributionLine, ...]:
    def lies(kind: Kind, location: str, **changes: Any) -> dict[str, Any]:
        return {"kind": kind, "location": location, "environment": None, **changes}

    return (
        a_line("idna", "3.6", **lies(Kind.BUNDLED, "/usr/local/bin/tool.pex!/.deps/idna-3.6-py3-none-any.whl")),
        a_line("pip", "24.0", **lies(Kind.CACHED, "/root/.cache/pip/http-v2/a/b/c/abc.body", layer=3)),
        a_line("requests", "2.30.0", hidden=True, layer=1),
        a_line("msgpack", "1.0.7", **lies(Kind.VENDORED, f"{SITE}/pip/_vendor/msgpack", owner="pip")),
        verified_line(
            "wheel", "0.43.0", Evidence.BUILT_ONLY, **lies(Kind.WHEEL, "/opt/wheels/wheel-0.43.0-py3-none-any.whl")
        ),
    )


_DETAILS = {
    FindingKind.UNOWNED_FILE: "no distribution accounts for this file, and Python imports it at every start",
    FindingKind.PLANTED_SBOM: "it carries Chainguard's SBOM and its bytes are not Chainguard's",
    FindingKind.STALE_BYTECODE: "made of a source of 120 bytes, the one beside it has 119",
    FindingKind.STALE_METADATA: "a second dist-info of numpy; its files are not the ones there",
    FindingKind.DANGLING_LINK: "points to /mnt/python, which is not there",
    FindingKind.UNREADABLE: "a RECORD of 80 MiB; the limit is 64 MiB",
    FindingKind.OPAQUE_BUNDLE: "a frozen program; the modules inside cannot be compared",
    FindingKind.CORRUPT_CACHE: "a cached wheel that is no zip file",
    FindingKind.UNSAFE_ENTRY: "'../../etc/passwd' leaves the root; it was left out",
    FindingKind.MODIFIED_SCRIPT: "does not do what entry_points.txt says",
}


def _findings() -> tuple[Finding, ...]:
    paths = {FindingKind.UNOWNED_FILE: f"{SITE}/sitecustomize.py", FindingKind.PLANTED_SBOM: f"{SITE}/{HOSTILE}"}
    return tuple(
        Finding(
            kind=kind,
            path=paths.get(kind, f"{VENV}/{kind.value}/__init__.py"),
            layer=None if kind is FindingKind.UNREADABLE else 3,
            detail=_DETAILS[kind],
        )
        for kind in FindingKind
    )


# -- any report ------------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.text(st.characters(), max_size=30),  # lone surrogates and control characters among them
    st.sampled_from(
        [
            HOSTILE,
            "=1+1",
            "@user",
            "|",
            "`",
            "``",
            "<b>",
            "\\",
            "a" * 700,
            "-1",
            "\ttab",
            "yes",
            "1.10",
            "~",
            "#5",
            "\x85",
            "\ufeff",
        ]
    ),
)
_LAYERS = st.none() | st.integers(0, 200)
_DIGESTS = st.none() | st.just(f"sha256:{'cd' * 32}")


def _any_match() -> st.SearchStrategy[MatchLine]:
    count = st.integers(0, 10_000)
    counts = st.builds(FileCounts, matched=count, missing=count, modified=count, generated=count)
    return st.builds(
        MatchLine,
        index=TEXTS,
        filename=TEXTS,
        sha256=_DIGESTS,
        url=st.none() | TEXTS,
        evidence=st.none() | st.sampled_from(Evidence),
        proved=st.booleans(),
        files=counts,
    )


def any_line() -> st.SearchStrategy[DistributionLine]:
    """A distribution of any kind and verdict, consistent or not."""
    file = st.builds(
        FileLine,
        path=TEXTS,
        state=st.sampled_from(["modified", "missing"]),
        expected=_DIGESTS,
        actual=_DIGESTS,
        layer=_LAYERS,
        note=st.none() | TEXTS,
    )
    return st.builds(
        DistributionLine,
        name=TEXTS,
        version=st.none() | TEXTS,
        kind=st.sampled_from(Kind),
        location=TEXTS,
        environment=st.none() | TEXTS,
        layer=_LAYERS,
        layers=st.lists(st.integers(0, 200), max_size=3).map(tuple),
        installer=st.none() | TEXTS,
        owner=st.none() | TEXTS,
        hidden=st.booleans(),
        origin=st.sampled_from(Origin),
        integrity=st.sampled_from(Integrity),
        match=st.none() | _any_match(),
        files=st.lists(file, max_size=8).map(tuple),
        available=st.builds(Available, same_version=st.none() | TEXTS, remediated=st.none() | TEXTS),
        reason=TEXTS,
    )


def any_policy() -> st.SearchStrategy[Policy]:
    """A policy that makes sense."""
    words = [word.value for words in (Origin, Integrity, FindingKind) for word in words]
    return st.builds(
        Policy,
        min_coverage=st.none() | st.floats(0, 100),
        fail_on=st.frozensets(st.sampled_from(words), max_size=5),
        min_evidence=st.sampled_from(Evidence),
    )


@st.composite
def any_report(draw: st.DrawFn) -> Report:
    """A report whose summary is counted from its distributions."""
    finding = st.builds(Finding, kind=st.sampled_from(FindingKind), path=TEXTS, layer=_LAYERS, detail=TEXTS)
    index = st.builds(
        IndexLine, name=TEXTS, role=st.sampled_from(Role), kind=TEXTS, url=TEXTS, built_only=st.booleans()
    )
    target = st.builds(
        TargetLine,
        reference=TEXTS,
        kind=st.sampled_from(["image", "directory", "file"]),
        digest=st.none() | TEXTS,
        platform=st.none() | TEXTS,
    )
    lines = draw(st.lists(any_line(), max_size=8))
    return a_report(
        *lines,
        findings=draw(st.lists(finding, max_size=25)),
        indexes=draw(st.lists(index, max_size=3)),
        policy=draw(any_policy()),
        target=draw(target),
        timing=draw(st.dictionaries(st.text(max_size=5), st.floats(0, 1e6), max_size=2)),
    )
