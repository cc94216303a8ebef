"""What Chainguard has instead of a distribution, and why nothing: for each word one index that brings it about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.utils import NormalizedName

from fixtures.wheels import make_wheel
from scanner.environment import Environment
from scanner.image import Platform
from scanner.index import Evidence, Index, IndexFile, Role, Tier
from scanner.offers import Shelf, Wanted, offer_of, wanted_of
from scanner.plan import Lack, Offer
from scanner.report import Available
from tests import scenes
from tests.reports import a_line, a_match, a_report

DEMO = NormalizedName("demo")
SITE = "/usr/local/lib/python3.11/site-packages"
LINUX = "manylinux_2_17_x86_64"
MUSL = "musllinux_1_2_x86_64"


def wheel(folder: Path, version: str = "1.0", tag: str = "py3-none-any", *, sbom: bool = True) -> Path:
    files = {"demo/__init__.py": f"version = {version!r}\n".encode()}
    generator = "rebuilder 9" if sbom else "bdist_wheel (0.43.0)"
    return make_wheel(folder / tag, "demo", version, files, tag=tag, sbom=sbom, generator=generator)


def offer(
    chainguard: Sequence[Path] | Index,
    *,
    upstream: Sequence[Path] = (),
    version: str | None = "1.0",
    environment: str = SITE,
    musl: bool | None = False,
    known: str | None = None,
) -> Offer:
    one = scenes.Shelf(wheels=chainguard, role=Role.CHAINGUARD) if isinstance(chainguard, list) else chainguard
    indexes = [one, scenes.Shelf(wheels=upstream, role=Role.UPSTREAM)]
    wanted = Wanted(
        project=DEMO,
        version=version,
        environment=Environment.of(environment),
        platform=Platform.parse("linux/amd64"),
        musl=musl,
        known=known,
    )
    return offer_of(wanted, Shelf(DEMO, indexes))  # type: ignore[arg-type]


def test_a_wheel_of_the_same_version(tmp_path: Path) -> None:
    mine, theirs = wheel(tmp_path), wheel(tmp_path / "pypi", sbom=False)
    found = offer([mine], upstream=[theirs])
    assert found.same_version is not None
    assert (found.same_version.index, found.same_version.filename) == ("chainguard-shelf", mine.name)
    assert found.same_version.sha256 is not None
    assert (found.evidence, found.lack, found.promises) == (Evidence.NOT_UPSTREAM, None, True)


def test_a_remediated_one_alone_is_a_promise_too(tmp_path: Path) -> None:
    wheels = [wheel(tmp_path / version, version) for version in ("1.0+cgr.2", "1.0+cgr.10", "1.1+cgr.1")]
    found = offer(wheels)
    assert (found.same_version, found.remediated, found.promises) == (None, "1.0+cgr.10", True)
    assert found.evidence is Evidence.NOT_UPSTREAM
    assert found.lack is Lack.OTHER_VERSIONS


def test_the_nearest_later_release_that_fits(tmp_path: Path) -> None:
    tags = {"1.1": "cp312-cp312-" + LINUX, "1.2rc1": "py3-none-any", "1.3": "py3-none-any", "2.0": "py3-none-any"}
    wheels = [wheel(tmp_path / version, version, tag) for version, tag in tags.items()]
    found = offer(wheels)
    assert (found.lack, found.later, found.promises) == (Lack.OTHER_VERSIONS, "1.3", False)
    assert found.why == "Chainguard has 1.1, 1.2rc1 and 2 more"


@pytest.mark.parametrize(
    ("tag", "lack", "why"),
    [
        ("cp310-cp310-" + LINUX, Lack.PYTHON, "for cp310 only; this is Python 3.11 on linux/amd64"),
        (
            "cp311-cp311-manylinux_2_17_aarch64",
            Lack.PLATFORM,
            "for manylinux_2_17_aarch64 only; this is Python 3.11 on",
        ),
        ("cp311-cp311-" + MUSL, Lack.PLATFORM, f"for {MUSL} only"),
        ("cp311-cp311-win_amd64", Lack.PLATFORM, "for win_amd64 only"),
    ],
)
def test_not_for_this_python_or_platform(tmp_path: Path, tag: str, lack: Lack, why: str) -> None:
    found = offer([wheel(tmp_path, tag=tag)])
    assert (found.lack, found.promises) == (lack, False)
    assert found.why is not None
    assert found.why.startswith(why)


def test_where_the_c_library_is_not_known_a_wheel_must_fit_both(tmp_path: Path) -> None:
    compiled = wheel(tmp_path, tag="cp311-cp311-" + LINUX)
    assert offer([compiled], musl=None).lack is Lack.PLATFORM
    assert offer([compiled], musl=False).promises
    assert offer([compiled], musl=None, known=compiled.name).promises, "a scan has found it to fit"
    assert offer([wheel(tmp_path)], musl=None).promises


def test_only_pypi_s_files_handed_on_are_not_built(tmp_path: Path) -> None:
    theirs = wheel(tmp_path, sbom=False)
    assert offer([theirs], upstream=[theirs]).why == "Chainguard's index hands on PyPI's files of it, 1 of them"
    assert offer([]).why == "Chainguard's index lists nothing of it"
    assert {offer([]).lack, offer([theirs], upstream=[theirs]).lack} == {Lack.NOT_BUILT}


def test_a_wheel_without_evidence_is_no_promise(tmp_path: Path) -> None:
    own = wheel(tmp_path, sbom=False)
    assert offer([own]).lack is Lack.UNPROVED
    built = scenes.Shelf(wheels=[own], role=Role.CHAINGUARD, tier=Tier.BUILT)
    assert offer(built).promises


class _Listing(scenes.Shelf):
    """A shelf with rows of other kinds."""

    more: tuple[IndexFile, ...] = ()

    def files(self, project: NormalizedName) -> Sequence[IndexFile]:
        return [*(replace_yanked(file) for file in super().files(project)), *self.more]


def replace_yanked(file: IndexFile) -> IndexFile:
    return file._replace(yanked=True)


def test_yanked_and_source_only(tmp_path: Path) -> None:
    yanked = _Listing(wheels=[wheel(tmp_path)], role=Role.CHAINGUARD)
    assert offer(yanked).lack is Lack.YANKED
    source = _Listing(wheels=[], role=Role.CHAINGUARD)
    source.more = (IndexFile(filename="demo-1.0.tar.gz", url="x:", shown_url="x:", hashes={}),)
    found = offer(source)
    assert (found.lack, found.why) == (Lack.SOURCE_ONLY, "only the source archive demo-1.0.tar.gz")


def test_no_version_and_no_answer(tmp_path: Path) -> None:
    assert offer([wheel(tmp_path)], version=None).lack is Lack.NO_VERSION
    assert offer([wheel(tmp_path)], version="not a version").lack is Lack.NO_VERSION
    refusing = scenes.Shelf(wheels=[wheel(tmp_path)], role=Role.CHAINGUARD, refuses="503 for the third time")
    found = offer(refusing)
    assert (found.lack, found.why) == (Lack.NOT_ASKED, "chainguard-shelf: 503 for the third time")
    assert offer_of(_wanted(), Shelf(DEMO, [])).why == "no index of Chainguard's was asked"


def _wanted() -> Wanted:
    return Wanted(project=DEMO, version="1.0", environment=Environment.of(SITE), platform=None)


@pytest.mark.parametrize(
    ("names", "musl"),
    [
        ((), None),
        (("a-1-py3-none-any.whl",), None),
        ((f"a-1-cp311-cp311-{LINUX}.whl",), False),
        ((f"a-1-cp311-cp311-{MUSL}.whl",), True),
        ((f"a-1-cp311-cp311-{MUSL}.whl", f"a-1-cp311-cp311-{LINUX}.whl"), None),
    ],
)
def test_the_c_library_is_read_off_the_wheels_that_fit(names: tuple[str, ...], musl: bool | None) -> None:
    lines = [a_line(f"a{number}", match=a_match(filename=name)) for number, name in enumerate(names)]
    offered = [
        a_line(f"b{number}", match=None, available=Available(same_version=name)) for number, name in enumerate(names)
    ]
    for report in (a_report(*lines), a_report(*offered)):
        assert wanted_of(a_line(), report).musl is musl


def test_python_is_read_off_the_environment_or_the_wheel_s_tags() -> None:
    report = a_report()
    assert wanted_of(a_line(environment=SITE), report).environment.python == (3, 11)
    compiled = a_match(filename=f"a-1-cp310-cp310-{LINUX}.whl")
    assert wanted_of(a_line(environment="/app", match=compiled), report).environment.python == (3, 10)
    assert wanted_of(a_line(environment=None, match=None), report).environment.python is None
    assert str(wanted_of(replace(a_line(), name="Not_Normal"), report).project) == "not-normal"
