"""Small scenes for the matcher: wheels on shelves, installed into a tree, changed, and judged.

The installer here is a plain one (unzip, INSTALLER, REQUESTED, RECORD), so that hundreds of scenes take
seconds; the tests with real pip and uv are in ``test_pipeline.py``.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import NormalizedName

from fixtures import wheels
from scanner.assess import assess
from scanner.assessed import Terms
from scanner.attestation import Form
from scanner.attesting import Attestor
from scanner.digest import Digest
from scanner.distribution import Finding
from scanner.errors import IndexUnavailable, WheelUnreadable
from scanner.finders import find
from scanner.image import Directory, Platform
from scanner.index import IndexFile, Role, Tier
from scanner.inventories import take_directory
from scanner.limits import DEFAULT_LIMITS
from scanner.report import DistributionLine
from scanner.rootfs import RootFS
from scanner.secondlook import SecondLook
from scanner.wheel import WheelContents, read_wheel, read_wheel_by_record

SITE = "usr/local/lib/python3.11/site-packages"


@dataclass(kw_only=True)
class Shelf:
    """An index over wheel files in memory: a small real one, with the quirks that a test asks for.

    ``by_record`` reads wheels as ranged reading does (unproved) until the whole is asked for. ``signed`` has documents
    by file name, ``vouchers`` what was asked of them; of ``lies`` the whole is not what the page promises.
    """

    wheels: Sequence[Path]
    role: Role
    name: str = ""
    tier: Tier | None = None
    built_only: bool = False
    refuses: str | None = None
    by_record: bool = True
    kind: str = "shelf"
    url: str = "shelf:"
    signed: Mapping[str, bytes | Exception] = field(default_factory=dict)
    lies: frozenset[str] = frozenset()
    whole_reads: list[str] = field(default_factory=list)
    vouchers: list[tuple[str, Form]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name = self.name or f"{self.role.value}-shelf"

    def files(self, project: NormalizedName) -> Sequence[IndexFile]:
        if self.refuses:
            raise IndexUnavailable(self.refuses)
        return tuple(
            IndexFile(
                filename=wheel.name,
                url=wheel.as_uri(),
                shown_url=wheel.as_uri(),
                hashes={"sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()},
                tier=self.tier,
            )
            for wheel in self.wheels
            if wheel.name.lower().replace("_", "-").replace(".", "-").startswith(f"{project}-")
        )

    def wheel(self, file: IndexFile, *, whole: bool = False) -> WheelContents:
        data = next(wheel for wheel in self.wheels if wheel.as_uri() == file.url).read_bytes()
        sha256 = Digest.of(data)
        if self.by_record and not whole:
            contents = read_wheel_by_record(
                io.BytesIO(data), filename=file.filename, limits=DEFAULT_LIMITS, sha256=sha256
            )
            if contents is not None:
                return contents
        self.whole_reads.append(file.filename)
        if file.filename in self.lies:
            raise WheelUnreadable(f"{file.filename}: the stored bytes are not the promised ones")
        return read_wheel(io.BytesIO(data), filename=file.filename, limits=DEFAULT_LIMITS, sha256=sha256, forms=True)

    def attestation(self, file: IndexFile, form: Form) -> bytes | None:
        self.vouchers.append((file.filename, form))
        found = self.signed.get(file.filename) if form is Form.PROVENANCE else None
        if isinstance(found, Exception):
            raise found
        return found


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What came of a scene."""

    lines: list[DistributionLine]
    findings: list[Finding]

    @property
    def one(self) -> DistributionLine:
        """The only distribution."""
        assert len(self.lines) == 1, self.lines
        return self.lines[0]

    @property
    def words(self) -> tuple[str, str]:
        """Origin and integrity of the only distribution."""
        return self.one.origin.value, self.one.integrity.value

    @property
    def kinds(self) -> list[str]:
        """The kinds of findings."""
        return sorted(finding.kind.value for finding in self.findings)


class Scene:
    """A tree with an environment."""

    def __init__(self, root: Path) -> None:
        self.root = root / "root"
        self.site = self.root / SITE
        self.site.mkdir(parents=True)

    def install(self, wheel: Path, *, listed: bool = True) -> Path:
        """Unpack a wheel as an installer does; gives its dist-info. ``listed``: with a RECORD."""
        members = [(info.filename, data) for info, data in wheels.read_members(wheel)]
        info = next(name.partition("/")[0] for name, _ in members if name.partition("/")[0].endswith(".dist-info"))
        rows = []
        for name, data in [*members, (f"{info}/INSTALLER", b"pip\n"), (f"{info}/REQUESTED", b"")]:
            if name == f"{info}/RECORD":
                continue
            place = self._place(name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            rows.append(wheels.record_row(name, data))
        if listed:
            (self.site / info / "RECORD").write_bytes(wheels.record_bytes(rows))
        return self.site / info

    def _place(self, name: str) -> Path:
        _, _, rest = name.partition(".data/")
        scheme, _, path = rest.partition("/")
        if not path:
            return self.site / name
        folders = {"purelib": self.site, "platlib": self.site, "scripts": self.root / "usr/local/bin"}
        return folders.get(scheme, self.root / "usr/local") / path

    def judge(
        self,
        chainguard: Sequence[Path] | Shelf | None = None,
        upstream: Sequence[Path] | Shelf | None = None,
        *,
        built_only: bool = False,
        tier: Tier | None = None,
        prove: bool = False,
        attestor: Attestor | None = None,
        platform: str = "linux/amd64",
    ) -> Judged:
        """Scan the tree against the shelves; None is an index that is not configured."""
        shelves: list[Shelf] = []
        if chainguard is not None:
            shelves.append(
                chainguard
                if isinstance(chainguard, Shelf)
                else Shelf(wheels=chainguard, role=Role.CHAINGUARD, built_only=built_only, tier=tier)
            )
        if upstream is not None:
            shelves.append(upstream if isinstance(upstream, Shelf) else Shelf(wheels=upstream, role=Role.UPSTREAM))
        rootfs = RootFS.of([take_directory(self.root, limits=DEFAULT_LIMITS)])
        found = list(find(rootfs))
        terms = Terms(
            indexes=shelves,
            limits=DEFAULT_LIMITS,
            platform=Platform.parse(platform),
            layered=False,
            prove=prove,
            attestor=attestor,
            on_matched=lambda _: None,
            look_again=SecondLook(target=Directory(reference="scene", path=self.root), limits=DEFAULT_LIMITS),
        )
        lines, findings, _ = assess(rootfs, [one for one in found if not isinstance(one, Finding)], terms)
        others = [one for one in found if isinstance(one, Finding)]
        return Judged(lines=lines, findings=[*findings, *others, *rootfs.findings])


def builds(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    name: str = "demo",
    version: str = "1.0",
    same_metadata: bool = False,
    tag: str = "py3-none-any",
) -> tuple[Path, Path]:
    """(Chainguard's, PyPI's) wheel of the same code; other generator and metadata version unless ``same_metadata``."""
    upstream = wheels.make_wheel(folder / "pypi", name, version, files, tag=tag)
    if same_metadata:
        plain = wheels.make_wheel(folder / "plain", name, version, files, tag=tag)
    else:
        plain = wheels.make_wheel(
            folder / "plain", name, version, files, tag=tag, generator="rebuilder 9", metadata_version="2.4"
        )
    return wheels.add_sbom(plain, _made(folder / "chainguard")), upstream


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def replace_member(wheel: Path, folder: Path, member: str, content: bytes | None) -> Path:
    """A copy of a wheel with one member's bytes changed (None: removed) and its RECORD left as it was."""
    target = _made(folder) / wheel.name
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w") as copy:
        for info in source.infolist():
            if info.filename != member:
                copy.writestr(info, source.read(info))
            elif content is not None:
                copy.writestr(info, content)
    return target


def copy_tree(source: Path, target: Path) -> Path:
    """Copy with links as links."""
    return Path(shutil.copytree(source, target, symlinks=True))
