"""A fleet for tests of what is kept: reports that were never scanned, straight into the database."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace

from scanner.distribution import Finding, FindingKind
from scanner.index import Evidence
from scanner.policy import Policy
from scanner.report import Available, DistributionLine, FileLine, Integrity, LayerLine, Origin, Report
from scanner.results.database import Database
from scanner.results.keeping import Basis, Named, keep, name
from tests.reports import SITE, a_line, a_report, verified_line

DAY = 86_400.0
_PROJECTS = (
    "certifi",
    "charset-normalizer",
    "click",
    "flask",
    "idna",
    "itsdangerous",
    "jinja2",
    "markupsafe",
    "numpy",
    "packaging",
    "pandas",
    "pillow",
    "protobuf",
    "pydantic",
    "pyyaml",
    "requests",
    "scipy",
    "six",
    "sqlalchemy",
    "urllib3",
    "werkzeug",
)
_INSTRUCTIONS = (
    "ADD rootfs.tar.xz / # buildkit",
    "RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv",
    "COPY requirements.txt /app/",
    "RUN pip install --no-cache-dir --index-url https://libraries.example/simple -r /app/requirements.txt",
    "RUN pip install --no-cache-dir six protobuf # from PyPI, since nobody said otherwise",
    "COPY . /app",
)
_numbers = itertools.count()


def put(
    database: Database, report: Report, image: str = "registry.example/shop/billing:1.4", *, seen: float | None = None
) -> int:
    """Keep a report as the newest of a name, ``HOST/REPOSITORY:TAG``; its id."""
    place, _, tag = image.rpartition(":")
    registry, _, repository = place.partition("/")
    now = time.time() if seen is None else seen
    named = Named(job=uuid.uuid4().hex, registry=registry, repository=repository, tag=tag, said=now)
    with database.writing() as connection:
        basis = Basis(asked=report.target.digest or "", terms="", serial=0)
        (report_id,) = keep(connection, [report], content=f"{next(_numbers):064}", basis=basis)
        name(connection, [report_id], named, now=now)
    return report_id


def billing(covered: int = 12, *, of: int = len(_PROJECTS)) -> Report:
    """An image of six layers; the first ``covered`` of its distributions are Chainguard's, one of those is changed."""
    lines = [_line(project, number, covered) for number, project in enumerate(_PROJECTS[:of])]
    lines.append(
        a_line("python-apt", "2.6.0", origin=Origin.OS, integrity=Integrity.NONE, match=None, layer=1, layers=(1,))
    )
    findings = [
        Finding(
            kind=FindingKind.UNOWNED_FILE,
            path=f"{SITE}/sitecustomize.py",
            layer=5,
            detail="no distribution accounts for this file, and Python imports it at every start",
        )
    ]
    report = a_report(
        *lines, findings=findings if covered < 18 else (), policy=Policy(min_coverage=60, fail_on=frozenset())
    )
    layers = tuple(
        LayerLine(
            diff_id=f"sha256:{number:064x}",
            digest=f"sha256:{number + 16:064x}",
            size=int(31_000_000 / (number + 1)),
            media_type="application/vnd.oci.image.layer.v1.tar+gzip",
            created_by=instruction,
        )
        for number, instruction in enumerate(_INSTRUCTIONS)
    )
    digest = f"sha256:{next(_numbers):08x}{'0123456789abcdef' * 4}"[:71]
    return replace(report, target=replace(report.target, layers=layers, digest=digest))


def _line(project: str, number: int, covered: int) -> DistributionLine:
    version = f"{number % 4 + 1}.{number % 7}.{number % 3}"
    if number >= covered:
        offered = Available(same_version=f"{project}-{version}-py3-none-any.whl" if number % 2 else None)
        layer = 4 if number % 3 else 3
        return a_line(project, version, layer=layer, layers=(layer,), available=offered)
    line = verified_line(project, version, Evidence.SBOM if number % 5 else Evidence.NOT_UPSTREAM)
    line = replace(line, layer=3, layers=(3,))
    return _changed(line) if project == "jinja2" else line


def _changed(line: DistributionLine) -> DistributionLine:
    files = (
        FileLine(
            path=f"{SITE}/jinja2/sandbox.py",
            state="modified",
            expected=f"sha256:{'1' * 64}",
            actual=f"sha256:{'2' * 64}",
            layer=5,
        ),
        FileLine(path=f"{SITE}/jinja2/py.typed", state="missing", expected=f"sha256:{'3' * 64}", actual=None, layer=5),
    )
    reason = "1 of 58 files has other bytes than Jinja2-3.1.3-py3-none-any.whl on libraries"
    return replace(line, integrity=Integrity.MODIFIED, files=files, layers=(3, 5), reason=reason)


def many(count: int) -> Report:
    """An image with as many distributions."""
    lines = [
        a_line(f"project-{number:04}", f"1.{number}", layer=number % 4, layers=(number % 4,))
        if number % 3
        else verified_line(f"project-{number:04}", f"1.{number}")
        for number in range(count)
    ]
    return a_report(*lines)


def a_fleet(database: Database, names: Sequence[str] = ("shop/billing", "shop/cart", "data/etl", "web/front")) -> None:
    """Repositories that get better over two weeks, each with a tag that moved and one that stayed."""
    now = time.time()
    for place, repository in enumerate(names):
        for days in (13, 9, 6, 3, 1):
            covered = 20 - days - 2 * place
            put(database, billing(covered), f"registry.example/{repository}:latest", seen=now - days * DAY)
        put(database, billing(3 + place), f"registry.example/{repository}:1.{place}", seen=now - 11 * DAY)
    put(database, billing(21), "other.example:5000/base/python:3.12", seen=now - 2 * DAY)
