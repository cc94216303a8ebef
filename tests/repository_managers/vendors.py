"""What the tests of vendors share: wheels, a target made of them, and scans of it that are compared."""

from __future__ import annotations

import contextlib
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.wheels import make_wheel
from scanner.config import gather
from scanner.http import Client
from scanner.index import Index, IndexSpec, Role
from scanner.indexes import open_index
from scanner.limits import Limits
from scanner.pipeline import Options, scan
from scanner.reference import parse_reference
from scanner.store import NoStore
from tests.managers import html_page, send_range, sha256
from tests.registries import Exchange, Respond
from tests.repository_managers.hosts import Hosts, hosts

LIMITS = Limits(request_seconds=10, index_seconds=60)
SECRET = "s3cr3t-0f-the-test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Wheels of Chainguard's and PyPI's of the same names, and a folder in which some of them are installed."""

    built: tuple[Path, ...]
    upstream: tuple[Path, ...]
    target: Path
    built_folder: Path
    upstream_folder: Path

    @property
    def served(self) -> tuple[Path, ...]:
        """What a proxy of Chainguard serves: its own builds, and one copy of PyPI's."""
        return (*self.built, next(wheel for wheel in self.upstream if wheel.name.startswith("copied")))


def make_scene(folder: Path) -> Scene:
    """``built-one``, ``built-two`` and a ``+cgr.1`` are Chainguard's, ``copied`` is PyPI's through Chainguard."""
    ours, theirs = folder / "built", folder / "upstream"
    built = tuple(
        make_wheel(ours, name, version, _code(name), sbom=True, generator="ours 2")
        for name, version in (("built-one", "1.0"), ("built-two", "2.1"), ("remedied", "3.0+cgr.1"))
    )
    upstream = tuple(
        make_wheel(theirs, name, version, _code(name))
        for name, version in (("built-one", "1.0"), ("built-two", "2.1"), ("copied", "0.4"))
    )
    target = folder / "target"
    site = target / "usr/lib/python3.12/site-packages"
    for wheel in (built[0], upstream[1], built[2], upstream[2]):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    (ours / upstream[2].name).write_bytes(upstream[2].read_bytes())
    return Scene(built=built, upstream=upstream, target=target, built_folder=ours, upstream_folder=theirs)


def _code(name: str) -> dict[str, bytes]:
    package = name.replace("-", "_")
    return {f"{package}/__init__.py": f"name = {name!r}\n".encode(), f"{package}/data.txt": name.encode() * 5000}


@contextlib.contextmanager
def served(folder: Path, responds: dict[str, Respond], patch: pytest.MonkeyPatch) -> Iterator[tuple[Hosts, Client]]:
    """The vendor's hosts and a client that reaches them and nobody else; nobody's real credentials take part."""
    patch.setenv("HOME", str(folder))
    for name in ("NETRC", "CHAINGUARD_PYTHON_IDENTITY_ID", "CHAINGUARD_PYTHON_TOKEN", "ALL_PROXY", "all_proxy"):
        patch.delenv(name, raising=False)
    with hosts(folder / "tls", responds) as running:
        for name, value in running.environment().items():
            patch.setenv(name, value)
        with Client(limits=LIMITS, ca_file=running.certificate) as client:
            yield running, client


def index(location: str | Path, client: Client, *, role: Role = Role.CHAINGUARD, **more: Any) -> Index:
    """An index, with nothing remembered."""
    spec = IndexSpec(location=str(location), role=role, name=role.value, **more)
    return open_index(spec, client=client, store=NoStore(), limits=LIMITS)


def judged(scene: Scene, indexes: Sequence[Index]) -> list[dict[str, Any]]:
    """The report's distributions and findings, without what says where a wheel lies."""
    [report] = scan(parse_reference(f"dir:{scene.target}"), indexes=indexes, options=Options(limits=LIMITS))
    lines = [_without_places(asdict(line)) for line in report.distributions]
    return [*lines, *(asdict(finding) for finding in report.findings), asdict(report.summary)]


def through_folders(scene: Scene, client: Client) -> list[dict[str, Any]]:
    """What :func:`judged` gives with plain folders as indexes."""
    ours = index(scene.built_folder, client)
    return judged(scene, [ours, index(scene.upstream_folder, client, role=Role.UPSTREAM)])


def _without_places(value: Any) -> Any:
    """Without URLs, and without how much of a wheel was read: a folder's are read where they are needed."""
    if isinstance(value, dict):
        return {key: _without_places(one) for key, one in value.items() if key not in ("url", "proved")}
    return [_without_places(one) for one in value] if isinstance(value, list | tuple) else value


def project(wheel: Path) -> str:
    """The normalised name of a wheel's project."""
    return wheel.name.partition("-")[0].replace("_", "-")


def simple_page(wheels: Sequence[Path], name: str, link: Callable[[Path], str]) -> bytes | None:
    """A page as HTML with sha256 fragments; None where there is no such project."""
    mine = [wheel for wheel in wheels if project(wheel) == name]
    rows = [(f"{link(wheel)}#sha256={sha256(wheel.read_bytes())}", wheel.name) for wheel in mine]
    return html_page(rows) if rows else None


def storage(wheels: Sequence[Path]) -> Respond:
    """Storage behind signed URLs: no Authorization, no HEAD, ranges."""

    def respond(exchange: Exchange) -> None:
        wheel = next((one for one in wheels if one.name == exchange.seen.path.rpartition("/")[2]), None)
        if "authorization" in exchange.seen.headers:
            exchange.send(400, b"<Error><Code>InvalidArgument</Code></Error>")
        elif exchange.seen.method != "GET" or wheel is None or exchange.seen.query.get("sig") != ["ok"]:
            exchange.send(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        else:
            send_range(exchange, wheel.read_bytes())

    return respond


def one_line(problem: Exception) -> str:
    """An error's text with its hint; it is one line each, and holds no secret."""
    hint = getattr(problem, "hint", None) or ""
    assert "\n" not in f"{problem}{hint}"
    assert len(str(problem)) < 700
    assert not re.search(SECRET, f"{problem} {hint}")
    return f"{problem} {hint}"


def documented(page: str, folder: Path, environment: Mapping[str, str]) -> dict[str, str | None]:
    """The indexes by name, with their kinds, of the configuration in ``docs/managers``; placeholders are filled in."""
    text = (Path(__file__).parents[2] / "docs" / "managers" / page).read_text()
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found
    file = folder / "cgscan.yaml"
    file.write_text(found[1].replace("LOCATION", "us"))
    settings = gather({"config": str(file)}, environment)
    return {spec.name or "": spec.kind for spec in settings.indexes}
