"""Which listed files are looked at for a distribution, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import NormalizedName, canonicalize_name

from scanner.available import offered
from scanner.candidates import Gathering, Question
from scanner.distribution import Identity, Origin
from scanner.environment import Environment
from scanner.errors import WheelUnreadable
from scanner.index import IndexFile, Role
from scanner.wheel import WheelContents, WheelName

A, B = "a" * 64, "b" * 64


@dataclass(kw_only=True)
class Listed:
    """An index that lists files and has none."""

    names: Sequence[str]
    role: Role = Role.CHAINGUARD
    sha256: str = A
    name: str = "listed"
    kind: str = "list"
    url: str = "list:"
    built_only: bool = False

    def files(self, project: NormalizedName) -> Sequence[IndexFile]:
        return tuple(
            IndexFile(filename=name, url=f"list:{name}", shown_url=f"list:{name}", hashes={"sha256": self.sha256})
            for name in self.names
        )

    def wheel(self, file: IndexFile, *, whole: bool = False) -> WheelContents:
        raise WheelUnreadable(file.filename)


def question(project: str = "demo", version: str | None = "1.0", also: Identity | None = None) -> Question:
    return Question(
        project=canonicalize_name(project),
        version=version,
        tags=frozenset(),
        environment=Environment.of("/usr/local/lib/python3.11/site-packages"),
        platform=None,
        musl=False,
        also=also,
    )


_VERSIONS = st.sampled_from(["1.0", "1", "01.0.0", "1.0.post1", "1.0+cgr.1", "1.0+CGR_1", "2.0", "1!1.0", "x", ""])
_NAMES = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["demo", "Demo", "other", "de_mo"]),
        st.just("-"),
        _VERSIONS,
        st.sampled_from(["-py3-none-any.whl", "-1-py3-none-any.whl", ".tar.gz", "-py3-none-any", "-any.whl"]),
    ),
)
_ASKED = st.none() | _VERSIONS
_ALSO = st.none() | st.builds(Identity, name=st.sampled_from(["demo", "other"]).map(canonicalize_name), version=_ASKED)


@given(st.lists(_NAMES, unique=True), _ASKED, _ALSO)
def test_every_wheel_of_the_version_and_no_other(names: list[str], version: str | None, also: Identity | None) -> None:
    asked = question(version=version, also=also)
    parsed = [(name, WheelName.parse(name)) for name in names]
    meant = {name for name, wheel in parsed if wheel is not None and asked.is_for(wheel)}
    failures = Gathering(asked, [Listed(names=names)]).gather(wide=True).failures
    assert {failure.partition(": ")[2] for failure in failures} == meant


@pytest.mark.parametrize("spelled", ["1.0+cgr.2", "1.0+CGR.2", "1.0+cgr_2"])
def test_a_remediated_version_however_it_is_spelled(spelled: str) -> None:
    files = [f"demo-{version}-py3-none-any.whl" for version in ("1.0", "1.0+cgr.1", spelled, "1.1+cgr.9")]
    assert offered(Gathering(question(), [Listed(names=files)])).remediated == "1.0+cgr.2"


@pytest.mark.parametrize(
    ("installed", "listed", "expected"),
    [
        ("1.0", ["1.0.0+cgr.2"], "1.0.0+cgr.2"),
        ("1.0.0", ["1.0+cgr.2", "1.0.0+cgr.10", "1.0+cgr.9"], "1.0.0+cgr.10"),
        ("1", ["1.0.0+cgr.1"], "1.0.0+cgr.1"),
        ("1.0+cgr.1", ["1.0.0+cgr.1", "1.0.0+cgr.3"], "1.0.0+cgr.3"),
        ("1.0.0+cgr.3", ["1.0+cgr.3"], "1.0+cgr.3"),
        ("1.0rc1", ["1.0rc1+cgr.1", "1.0+cgr.2"], "1.0rc1+cgr.1"),
        ("1.0", ["1.0.1+cgr.2", "1.0.post1+cgr.1", "1!1.0+cgr.1", "1.0+other.3", "1.0"], None),
        ("of somebody's", ["1.0+cgr.1"], None),
    ],
)
def test_a_remediated_build_is_of_a_release_by_its_value(
    installed: str, listed: list[str], expected: str | None
) -> None:
    files = [f"demo-{version}-py3-none-any.whl" for version in listed]
    assert offered(Gathering(question(version=installed), [Listed(names=files)])).remediated == expected


@dataclass(kw_only=True)
class Withdrawn(Listed):
    def files(self, project: NormalizedName) -> Sequence[IndexFile]:
        return [file._replace(yanked=True) for file in Listed.files(self, project)]


def test_what_is_withdrawn_for_another_python_or_pypis_is_not_offered() -> None:
    names = ["demo-1.0+cgr.2-py3-none-any.whl", "demo-1.0+cgr.3-cp39-cp39-any.whl"]
    assert offered(Gathering(question(), [Listed(names=names)])).remediated == "1.0+cgr.2"
    assert offered(Gathering(question(), [Withdrawn(names=names)])).remediated is None
    theirs = Listed(names=names, role=Role.UPSTREAM, name="theirs")
    assert offered(Gathering(question(), [Listed(names=names), theirs])).remediated is None


@pytest.mark.parametrize(
    ("theirs", "name", "origin"),
    [
        (A, "demo-1.0-py3-none-any.whl", Origin.UPSTREAM),
        (A, "demo-9.9-py3-none-any.whl", Origin.UPSTREAM),
        (B, "demo-1.0-py3-none-any.whl", Origin.UNKNOWN),
    ],
)
def test_the_same_bytes_on_an_upstream_index_whatever_their_name(theirs: str, name: str, origin: Origin) -> None:
    ours = Listed(names=["demo-1.0-py3-none-any.whl"])
    gathering = Gathering(question(), [ours, Listed(names=[name], role=Role.UPSTREAM, sha256=theirs, name="theirs")])
    [file] = ours.files(canonicalize_name("demo"))
    assert gathering.origin(ours, file, None)[0] is origin


def test_what_a_wheel_says_is_not_what_its_listing_says() -> None:
    """The SBOM is known once the wheel was read: what was said without it is not said again."""
    sbom = b'{"creationInfo": {"creators": ["Organization: Chainguard, Inc"]}}'
    ours = Listed(names=["demo-1.0-py3-none-any.whl"])
    [file] = ours.files(canonicalize_name("demo"))
    contents = WheelContents(
        filename=file.filename,
        sha256=file.sha256,
        proved=False,
        members={},
        dist_info="demo-1.0.dist-info",
        documents={"sboms/sbom.spdx.json": sbom},
    )
    gathering = Gathering(question(), [ours])
    assert gathering.origin(ours, file, None)[0] is Origin.UNKNOWN
    assert gathering.origin(ours, file, contents)[0] is Origin.CHAINGUARD
