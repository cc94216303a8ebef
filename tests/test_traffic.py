"""What a scan asks of networks, counted in the logs of real servers: the same on every machine."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from fixtures.bench import filling, images, servers, wheelhouse
from fixtures.bench.context import Bench
from fixtures.bench.counted import Asked, asked_of
from fixtures.bench.images import Image
from fixtures.bench.servers import Request, Server
from fixtures.wheels import add_sbom, make_wheel
from tests.registries import needed

MOST_BYTES = 80_000


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(folder=tmp_path_factory.mktemp("bench"), runs=1, small=True, tell=lambda _: None)


@pytest.fixture(scope="module")
def upstream(bench: Bench) -> list[Path]:
    """Wheels of two kilobytes, of a hundred and of some megabytes, four of each."""
    folder = bench.folder / "upstream"
    noise = random.Random(1)
    little = [_wheel(folder, f"little-{number}", {"little.py": b"x = 1\n"}) for number in range(4)]
    usual = [_wheel(folder, f"usual-{number}", _modules(number, 40)) for number in range(4)]
    much = [
        _wheel(folder, f"much-{number}", {**_modules(number, 300), "_c.so": noise.randbytes(2 << 20)})
        for number in range(4)
    ]
    return [*little, *usual, *much]


def _wheel(folder: Path, name: str, files: Mapping[str, bytes]) -> Path:
    package = name.replace("-", "_")
    return make_wheel(folder, name, "1.0", {f"{package}/{path}": content for path, content in files.items()})


def _modules(seed: int, count: int) -> dict[str, bytes]:
    return {f"m{number}.py": filling.text(seed * 1000 + number, 8_000) for number in range(count)}


@pytest.fixture(scope="module")
def image(bench: Bench, upstream: list[Path]) -> Image:
    """All of the upstream wheels, installed."""
    return bench.image("all", lambda layout: images.distributions(layout, upstream))


@pytest.fixture
def indexes(bench: Bench, upstream: list[Path]) -> Iterator[Server]:
    """An index of each role: PyPI's wheels, and the same rebuilt."""
    needed("nginx")
    root = bench.scratch("tree")
    wheelhouse.index_tree(root, "upstream", upstream)
    wheelhouse.index_tree(root, "chainguard", [add_sbom(wheel, bench.folder / "rebuilt") for wheel in upstream])
    with servers.indexes(bench.scratch("nginx"), root) as server:
        yield server


def _scanned(bench: Bench, image: Image, server: Server, home: Path, *options: str) -> Mapping[tuple[str, str], Asked]:
    """What one scan asked, by index and project. Every distribution was explained."""
    origins: list[str] = []
    roles = {"--index": "chainguard", "--upstream": "upstream"}
    places = [word for option, name in roles.items() for word in (option, f"http://{server.host}/{name}/simple/")]
    scan = bench.scan(
        image.target,
        *places,
        *options,
        on_report=lambda report: origins.extend(one["origin"] for one in report["distributions"]),
    )
    scan(home)
    assert origins == ["upstream"] * image.distributions
    return asked_of(server.seen())


def test_little_is_asked_of_indexes_and_nothing_twice(
    bench: Bench, image: Image, indexes: Server, tmp_path: Path
) -> None:
    cold = _scanned(bench, image, indexes, tmp_path)
    assert len(cold) == 2 * image.distributions
    assert {one.pages for one in cold.values()} == {1}
    assert statistics.median(one.pages + one.wheels for one in cold.values()) <= 2
    assert statistics.median(one.page_bytes + one.wheel_bytes for one in cold.values()) <= MOST_BYTES
    # nobody needs megabytes: the large wheels are read in parts
    assert max(one.wheel_bytes for one in cold.values()) < 400_000
    warm = _scanned(bench, image, indexes, tmp_path)
    assert sum(one.wheels for one in warm.values()) == 0
    assert {one.pages for one in warm.values()} == {1}
    # asked with the ETag, and not sent again
    assert max(one.page_bytes for one in warm.values()) < 500


def test_bases_are_fetched_once(bench: Bench, image: Image, tmp_path: Path) -> None:
    needed("docker-registry")
    needed("skopeo")
    other = bench.image("on-top", lambda layout: images.on_top(layout, image))
    [base], [_, top] = image.layers, other.layers
    with servers.registry(tmp_path / "registry") as server:
        names = [servers.push(one.layout, f"{server.host}/{one.name}") for one in (image, other)]
        server.seen()
        bench.scan(f"registry:{names[0]}")(tmp_path / "home")
        assert base.digest in _blobs(server.seen())
        bench.scan(f"registry:{names[1]}")(tmp_path / "home")
        fetched = _blobs(server.seen())
    assert top.digest in fetched
    assert base.digest not in fetched


def _blobs(requests: Iterable[Request]) -> set[str]:
    return {one.path.partition("/blobs/")[2] for one in requests}
