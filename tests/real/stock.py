"""Real projects as PyPI's wheel and as rebuilt from source, two indexes of them, and scans that are validated.

Downloads and builds are kept between runs (:func:`fixtures.wheels.cache_folder`); from nothing they take
a few minutes, side by side, once for all processes of a test run.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]
from packaging.utils import parse_wheel_filename

import scanner
from fixtures import trees, wheels
from scanner.formats import render
from scanner.http import Client
from scanner.index import Index, IndexSpec, Role
from scanner.indexes import open_index
from scanner.limits import Limits
from scanner.pipeline import Options, scan
from scanner.reference import parse_reference
from scanner.store import NoStore

# what each is here for; all build in seconds
PROJECTS: Final = (
    "greenlet==3.1.1",  # headers, C++, tests inside; the slowest to build comes first
    "PyYAML==6.0.2",  # capitals; compiled; two top-level packages
    "zope.interface==7.2",  # a dot; a namespace package by nspkg.pth in the one build and not in the other; tests
    "charset-normalizer==3.4.1",  # compiled by PyPI, pure from source
    "httpie==3.2.4",  # *.data/data: man pages; three entry points
    "markupsafe==3.0.2",  # compiled
    "zope.event==5.0",  # the second of a namespace
    "jaraco.functools==4.1.0",  # a namespace package without __init__.py
    "zc.lockfile==3.0.post1",  # a post release
    "jmespath==1.0.1",  # *.data/scripts
    "websocket-client==1.8.0",  # a name that is not the module's
    "jinja2==3.1.6",  # built by flit; entry points of another tool
    "click==8.1.8",  # one package, pure
)
LIMITS: Final = Limits(request_seconds=20, index_seconds=120)
ROLES: Final = {"chainguard": Role.CHAINGUARD, "pypi": Role.UPSTREAM}

Line = dict[str, Any]
Report = dict[str, Any]
Locations = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """The two builds of every project, by normalised name."""

    chainguard: Mapping[str, Path]
    pypi: Mapping[str, Path]

    def build(self, whose: str) -> Mapping[str, Path]:
        """``chainguard``'s or ``pypi``'s."""
        return self.chainguard if whose == "chainguard" else self.pypi

    def of(self, whose: str, *projects: str) -> list[Path]:
        """Some of the wheels."""
        return [self.build(whose)[project] for project in projects]

    def folders(self, folder: Path) -> dict[str, str]:
        """Both builds as local simple trees: locations of indexes by name."""
        return {
            whose: str(trees.simple_tree(folder / whose, self.build(whose).values()))
            for whose in ("chainguard", "pypi")
        }


def take_stock() -> Stock:
    """Download and build what is not there yet; :class:`fixtures.wheels.FixtureUnavailable` without network."""
    with one_process(), ThreadPoolExecutor(max_workers=2) as pool:
        built = list(pool.map(wheels.rebuild, PROJECTS))
        downloaded = list(pool.map(wheels.download_wheel, PROJECTS))
    return Stock(chainguard=_by_project(built), pypi=_by_project(downloaded))


@contextmanager
def one_process() -> Iterator[None]:
    """Let one process of a test run fill the cache; the others find it filled."""
    wheels.cache_folder().mkdir(parents=True, exist_ok=True)
    with (wheels.cache_folder() / ".real.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _by_project(files: Sequence[Path]) -> dict[str, Path]:
    return {project_of(file): file for file in files}


def project_of(wheel: Path) -> str:
    """The normalised name."""
    return parse_wheel_filename(wheel.name)[0]


# -- scans


def scanned(target: str, indexes: Locations, *, options: Options | None = None) -> Report:
    """The JSON report of a target against indexes ``chainguard`` and ``pypi`` (URL or folder); it fits the schema."""
    with opened(indexes) as found:
        reports = scan(parse_reference(target), indexes=found, options=options or Options(limits=LIMITS))
    report: Report = json.loads(render(reports, "json"))
    _validator().validate(report)
    return report


@contextmanager
def opened(indexes: Locations) -> Iterator[list[Index]]:
    """The indexes as a scan opens them."""
    with Client(limits=LIMITS) as client:
        specs = [IndexSpec(location=place, role=ROLES[name], name=name) for name, place in indexes.items()]
        yield [open_index(spec, client=client, store=NoStore(), limits=LIMITS) for spec in specs]


@cache
def _validator() -> jsonschema.Draft202012Validator:
    schema = Path(scanner.__file__).with_name("report.schema.json").read_bytes()
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(json.loads(schema), format_checker=checker)


def lines_of(report: Report) -> dict[str, Line]:
    """The distributions by name; each name is there once."""
    lines = {line["name"]: line for line in report["distributions"]}
    assert len(lines) == len(report["distributions"])
    return lines


def words(line: Line) -> tuple[str, str]:
    """Origin and integrity."""
    return line["origin"], line["integrity"]


def odd_files(line: Line) -> list[tuple[str, str]]:
    """State and path of the files that are not as the wheel has them."""
    return [(file["state"], file["path"]) for file in line["files"]]
