"""``--lazy``: layers of a registry by their tables of contents say what they say when they are read whole."""

from __future__ import annotations

import json
import os
import py_compile
import random
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from fixtures import bundles, chunked
from fixtures.chunked import ChunkedLayer, estargz, zstd_chunked
from fixtures.images import LayerBlob, file_entry, layer_from_entries, layer_from_tree
from fixtures.trees import debian_distribution, simple_tree
from fixtures.wheels import make_wheel
from scanner.cli import main
from scanner.errors import DigestMismatch
from scanner.formats import render
from scanner.index import Role
from scanner.pipeline import Options, scan
from scanner.reference import parse_reference
from scanner.report import Report, as_object
from scanner.store import DiskStore, NoStore
from tests.registries import Exchange, docker_registry, needed, push, site
from tests.scenes import Scene, Shelf, builds

MAKERS: dict[str, Callable[..., ChunkedLayer]] = {"estargz": estargz, "zstd:chunked": zstd_chunked}
CODE = {f"demo/m{number}.py": f"VALUE = {number}\n".encode() * 40 for number in range(30)} | {"demo/__init__.py": b""}
NOISE = random.Random(7).randbytes(3 * 1024 * 1024)
EPOCH = 1_700_000_000


@dataclass(frozen=True, kw_only=True)
class Made:
    """Two layers as trees make them, and the shelves that know their wheels."""

    layers: list[LayerBlob]
    chainguard: list[Path]
    upstream: list[Path]

    def shelves(self) -> list[Shelf]:
        return [
            Shelf(wheels=self.chainguard, role=Role.CHAINGUARD),
            Shelf(wheels=self.upstream, role=Role.UPSTREAM),
        ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Installed, changed, vendored by dpkg, as a wheel, in a zip file, with scripts and byte code; and much besides."""
    folder = tmp_path_factory.mktemp("made")
    demo = builds(folder / "demo", CODE)
    other = builds(folder / "other", {"other/__init__.py": b"x = 1\ny = 2\n", "other/b.py": b"z = 3\n"}, name="other")
    loose = builds(folder / "loose", {"loose.py": b"pass\n"}, name="loose")
    tool = make_wheel(
        folder / "tool", "tool", "2.0", {"tool.py": b"def main(): pass\n"}, data={"scripts/tool": b"#!python\nx\n"}
    )
    scene = Scene(folder)
    for wheel in (demo[0], other[1], tool):
        scene.install(wheel)
    _write(scene.root / "usr/share/noise", NOISE)
    _write(scene.root / "usr/local/bin/run", b"#!/usr/local/bin/python3\nimport demo\n")
    _write(scene.root / "wheels" / loose[0].name, loose[0].read_bytes())
    _write(scene.root / "opt/layer.zip", bundles.zip_of(bundles.installed(loose[1], "python/")))
    debian_distribution(scene.root, "owned", "1.0", {"owned/__init__.py": b"pass\n"})
    (scene.root / "usr/link").symlink_to("local/bin/run")
    os.link(scene.root / "usr/local/bin/run", scene.root / "usr/local/bin/again")
    lower = layer_from_tree(scene.root, compression=None)
    _write(scene.site / "other/b.py", b"z = 3\r\n")
    _write(scene.site / "stray.py", b"import os\n")
    _write(scene.root / "srv/more", NOISE[::-1])
    (scene.site / "demo/m3.py").unlink()
    _byte_code(scene.site / "demo/m1.py", stale=True)
    upper = layer_from_tree(scene.root, previous=_unpacked(lower, folder / "before"), compression=None)
    return Made(
        layers=[lower, upper],
        chainguard=[demo[0], other[0], loose[0]],
        upstream=[demo[1], other[1], loose[1], tool],
    )


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _unpacked(layer: LayerBlob, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=layer.tar(), check=True)
    return folder


def _byte_code(source: Path, *, stale: bool) -> Path:
    """Compile a source of another time than the tree will have, or of the right one."""
    os.utime(source, (EPOCH, EPOCH))
    code = Path(py_compile.compile(str(source), doraise=True) or "")
    if not stale:
        os.utime(code, (EPOCH, EPOCH))
    return code


def lazily(made: Made, kind: str, **how: Any) -> list[ChunkedLayer]:
    return [MAKERS[kind](chunked.entries_of(layer), **how) for layer in made.layers]


# -- registries ------------------------------------------------------------------------------------


@dataclass
class Served:
    """What went through a :func:`counted` registry: bytes of blobs, and their requests."""

    host: str
    blobs: list[tuple[str | None, int]] = field(default_factory=list)
    ranges: bool = True

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self.blobs)

    @property
    def ranged(self) -> int:
        return sum(wanted is not None for wanted, _ in self.blobs)


@contextmanager
def counted(registry: str) -> Iterator[Served]:
    """A real registry through a proxy that counts; without ``ranges`` it does as if there were none."""
    served = Served("")

    def respond(exchange: Exchange) -> None:
        passed = {name: exchange.seen.headers[name] for name in ("accept", "range") if name in exchange.seen.headers}
        if not served.ranges:
            passed.pop("range", None)
        request = urllib.request.Request(f"http://{registry}{exchange.seen.path}", headers=passed)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                status, headers, data = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as problem:
            status, headers, data = problem.code, problem.headers, problem.read()
        if "/blobs/" in exchange.seen.path:
            served.blobs.append((exchange.seen.headers.get("range"), len(data)))
        kept = {name: headers[name] for name in ("Content-Type", "Content-Range") if headers[name]}
        exchange.send(status, data, **kept)

    with site(respond) as running:
        served.host = running.host
        yield served


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


def pushed(registry: str, folder: Path, layers: Sequence[ChunkedLayer | LayerBlob]) -> str:
    """The repository of an image."""
    name = f"team/app{len(list(folder.iterdir()))}-{os.urandom(4).hex()}"
    push(chunked.write_layout(folder / "layout", layers), f"{registry}/{name}:latest")
    return name


def scanned(target: str, made: Made, *, lazy: bool, store: DiskStore | None = None) -> Report:
    options = Options(lazy=lazy, store=store or NoStore())
    [report] = scan(parse_reference(target), indexes=made.shelves(), options=options)
    return report


def said(report: Report) -> list[object]:
    """Everything that is said of distributions."""
    return list(as_object(report)["distributions"])


# -- the same ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("chunk", [None, 4096])
def test_it_says_the_same_of_few_bytes(tmp_path: Path, registry: str, made: Made, kind: str, chunk: int | None) -> None:
    layers = lazily(made, kind, chunk=chunk)
    name = pushed(registry, tmp_path, layers)
    with counted(registry) as served:
        whole = scanned(f"registry:{served.host}/{name}", made, lazy=False)
        all_bytes = served.bytes
        served.blobs.clear()
        lazy = scanned(f"registry:{served.host}/{name}", made, lazy=True)
    assert [layer.checked for layer in whole.target.layers] == ["digest", "digest"]
    assert [layer.checked for layer in lazy.target.layers] == ["contents", "contents"]
    assert said(lazy) == said(whole)
    kinds = {(line.kind.value, line.origin.value, line.integrity.value) for line in lazy.distributions}
    assert {
        ("installed", "chainguard", "pruned"), ("installed", "upstream", "modified"), ("installed", "os", "none"),
        ("wheel", "chainguard", "intact"), ("bundled", "upstream", "intact"),
    } <= kinds  # fmt: skip
    [changed] = [file for line in lazy.distributions for file in line.files if file.state == "modified"]
    assert changed.note, "the second look, by ranges too"
    assert served.bytes * 10 < all_bytes, (served.bytes, all_bytes)
    assert served.ranged < 30


@pytest.mark.parametrize("kind", MAKERS)
def test_findings_differ_by_byte_code_only(tmp_path: Path, registry: str, made: Made, kind: str) -> None:
    name = pushed(registry, tmp_path, lazily(made, kind))
    whole = scanned(f"registry:{registry}/{name}", made, lazy=False)
    lazy = scanned(f"registry:{registry}/{name}", made, lazy=True)
    stale = [one for one in whole.findings if one.kind.value == "stale-bytecode"]
    assert len(stale) == 1
    assert [one for one in whole.findings if one not in stale] == list(lazy.findings)


def test_a_source_that_was_not_read_accuses_no_byte_code(tmp_path: Path, registry: str, made: Made) -> None:
    """Tables round times, so that only what else a header says is held to such a source."""
    (tmp_path / "one.py").write_bytes(b"x = 1\n")
    code = _byte_code(tmp_path / "one.py", stale=False).read_bytes()
    folder = "usr/lib/python3/dist-packages"
    cached = f"{folder}/__pycache__/one.{sys.implementation.cache_tag}.pyc"
    late, _ = entry = file_entry(f"{folder}/one.py", b"x = 1\n")
    late.mtime = EPOCH + 1  # as a table has it, rounded
    lower = estargz([entry, file_entry("srv/noise", NOISE)])
    for wrong, content in ((0, code), (1, code[:12] + b"\x63\0\0\0" + code[16:])):
        image: list[ChunkedLayer | LayerBlob] = [lower, layer_from_entries([file_entry(cached, content)])]
        place = tmp_path / str(wrong)
        place.mkdir()
        report = scanned(f"registry:{registry}/{pushed(registry, place, image)}", made, lazy=True)
        assert [layer.checked for layer in report.target.layers] == ["contents", "digest"]
        assert [one.kind.value for one in report.findings].count("stale-bytecode") == wrong


def test_skopeo_writes_what_is_read(tmp_path: Path, registry: str, made: Made) -> None:
    """zstd:chunked by the tool that runtimes use."""
    lower = [entry for entry in chunked.entries_of(made.layers[0]) if not entry[0].name.startswith("wheels")]
    # skopeo 1.9 stumbles over some tars ("short write"), the one with the wheel among them
    layout = chunked.write_layout(tmp_path / "layout", [layer_from_entries(lower, compression=None), made.layers[1]])
    name = f"team/skopeo-{os.urandom(4).hex()}"
    compressed = f"dir:{tmp_path}/compressed"
    for command in (
        ["--dest-compress", "--dest-compress-format=zstd:chunked", f"oci:{layout}:latest", compressed],
        ["--dest-tls-verify=false", "--preserve-digests", compressed, f"docker://{registry}/{name}"],
    ):
        done = subprocess.run(
            [needed("skopeo"), "copy", "--quiet", *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    with counted(registry) as served:
        lazy = scanned(f"registry:{served.host}/{name}", made, lazy=True)
    whole = scanned(f"oci-dir:{layout}", made, lazy=False)  # it drops zeros at the end, which changes the diff_id
    assert [layer.checked for layer in lazy.target.layers] == ["contents", "contents"]
    assert said(lazy) == said(whole)
    assert served.bytes < len(NOISE) // 4


@pytest.mark.parametrize("kind", MAKERS)
def test_the_fixtures_are_ordinary_layers(tmp_path: Path, registry: str, made: Made, kind: str) -> None:
    """skopeo copies them, umoci unpacks them, and what comes out is the tree."""
    name = pushed(registry, tmp_path, lazily(made, kind, chunk=100_000))
    layout = tmp_path / "copied"
    if kind == "estargz":
        how: list[str] = []
    else:
        how = ["--dest-compress", "--dest-compress-format=gzip"]  # umoci before 0.5 has no zstd, skopeo has
    copy = [needed("skopeo"), "copy", "--quiet", "--src-tls-verify=false", *how]
    subprocess.run([*copy, f"docker://{registry}/{name}", f"oci:{layout}:latest"], check=True, capture_output=True)
    out = tmp_path / "out"
    unpack = [needed("umoci"), "raw", "unpack", "--rootless", "--image", f"{layout}:latest", str(out)]
    subprocess.run(unpack, check=True, capture_output=True)
    assert (out / "usr/share/noise").read_bytes() == NOISE
    assert (out / "srv/more").read_bytes() == NOISE[::-1]
    [site_packages] = out.glob("usr/local/lib/python*/site-packages")
    assert (site_packages / "other/b.py").read_bytes() == b"z = 3\r\n"
    assert not (site_packages / "demo/m3.py").exists()


# -- what is not as it was promised -------------------------------------------------------------------


def test_without_ranges_it_is_read_whole(tmp_path: Path, registry: str, made: Made) -> None:
    name = pushed(registry, tmp_path, lazily(made, "estargz"))
    with counted(registry) as served:
        served.ranges = False
        report = scanned(f"registry:{served.host}/{name}", made, lazy=True)
    assert [layer.checked for layer in report.target.layers] == ["digest", "digest"]
    assert said(report) == said(scanned(f"registry:{registry}/{name}", made, lazy=False))


@pytest.mark.parametrize("kind", MAKERS)
def test_unbound_tables_are_not_trusted(tmp_path: Path, registry: str, made: Made, kind: str) -> None:
    layers = [replace(one, annotations={}) for one in lazily(made, kind)]
    name = pushed(registry, tmp_path, layers)
    with counted(registry) as served:
        report = scanned(f"registry:{served.host}/{name}", made, lazy=True)
    assert {layer.checked for layer in report.target.layers} == {"digest"}
    assert served.ranged == 0


@pytest.mark.parametrize("kind", MAKERS)
def test_another_table_than_the_manifest_names_ends_the_scan(
    tmp_path: Path, registry: str, made: Made, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = lazily(made, kind)
    key = next(key for key in first.annotations if not key.endswith("position"))
    forged = replace(first, annotations={**first.annotations, key: f"sha256:{'0' * 64}"})
    target = f"registry:{registry}/{pushed(registry, tmp_path, [forged, second])}"
    with pytest.raises(DigestMismatch, match="table of contents has digest"):
        scanned(target, made, lazy=True)
    assert main(["scan", target, "--lazy", "--no-cache"]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "its table of contents has digest sha256:" in err
    assert scanned(target, made, lazy=False).distributions, "nobody asked for the table"


@pytest.mark.parametrize("kind", MAKERS)
def test_a_table_that_lies_about_a_file_ends_the_scan(tmp_path: Path, registry: str, made: Made, kind: str) -> None:
    def lie(toc: chunked.Toc) -> None:
        [row] = [row for row in toc["entries"] if row["name"].endswith("demo-1.0.dist-info/METADATA")]
        row["digest"] = f"sha256:{'1' * 64}"
        row.pop("chunkDigest", None)

    lower, upper = (MAKERS[kind](chunked.entries_of(layer), change=lie) for layer in made.layers[:1] * 2)
    target = f"registry:{registry}/{pushed(registry, tmp_path, [lower, upper])}"
    with pytest.raises(DigestMismatch, match=r"dist-info/METADATA': has digest sha256:\w+, not sha256:111"):
        scanned(target, made, lazy=True)


# -- remembered, said ---------------------------------------------------------------------------------


def test_what_was_read_whole_serves_both_and_not_the_other_way(tmp_path: Path, registry: str, made: Made) -> None:
    name = pushed(registry, tmp_path, lazily(made, "zstd:chunked"))
    store = DiskStore(tmp_path / "store")
    with counted(registry) as served:
        target = f"registry:{served.host}/{name}"
        first = scanned(target, made, lazy=True, store=store)
        served.blobs.clear()
        again = scanned(target, made, lazy=True, store=store)
        assert [layer.checked for layer in (*first.target.layers, *again.target.layers)] == ["contents"] * 4
        assert said(first) == said(again)
        again_bytes = served.bytes
        served.blobs.clear()
        whole = scanned(target, made, lazy=False, store=store)
        assert [layer.checked for layer in whole.target.layers] == ["digest"] * 2
        assert served.bytes > len(NOISE) * 2 > again_bytes
        lazy = scanned(target, made, lazy=True, store=store)
        assert [layer.checked for layer in lazy.target.layers] == ["digest"] * 2


def test_another_manifest_does_not_get_what_a_table_said(tmp_path: Path, registry: str, made: Made) -> None:
    """The same layer with another table's digest is another question, whatever the store has."""
    layers = lazily(made, "estargz")
    store = DiskStore(tmp_path / "store")
    scanned(f"registry:{registry}/{pushed(registry, tmp_path, layers)}", made, lazy=True, store=store)
    forged = [replace(one, annotations={chunked.ESTARGZ: f"sha256:{'0' * 64}"}) for one in layers]
    (tmp_path / "forged").mkdir()
    with pytest.raises(DigestMismatch):
        scanned(f"registry:{registry}/{pushed(registry, tmp_path / 'forged', forged)}", made, lazy=True, store=store)


def test_checking_byte_code_needs_all_bytes(tmp_path: Path, registry: str, made: Made) -> None:
    name = pushed(registry, tmp_path, lazily(made, "estargz"))
    options = Options(lazy=True, check_bytecode=True)
    [report] = scan(parse_reference(f"registry:{registry}/{name}"), indexes=made.shelves(), options=options)
    assert {layer.checked for layer in report.target.layers} == {"digest"}


def test_people_are_told(tmp_path: Path, registry: str, made: Made) -> None:
    lower, upper = lazily(made, "estargz")
    first = "Layer 0 was read by its table of contents (--lazy): its digest was not checked in full."
    both = "Layers 0 and 1 were read by their tables of contents (--lazy): their digests were not checked in full."
    images: dict[str, list[ChunkedLayer | LayerBlob]] = {first: [lower, made.layers[1]], both: [lower, upper]}
    for sentence, layers in images.items():
        folder = tmp_path / str(len(sentence))
        folder.mkdir()
        report = scanned(f"registry:{registry}/{pushed(registry, folder, layers)}", made, lazy=True)
        for style in ("table", "markdown"):
            words = " ".join(render([report], style).replace("`", "").split())
            assert sentence in words
        assert all("checked" in layer for layer in as_object(report)["target"]["layers"])


def test_the_command_line_and_the_file_ask_for_it(
    tmp_path: Path, registry: str, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    target = f"registry:{registry}/{pushed(registry, tmp_path, lazily(made, 'estargz'))}"
    index = simple_tree(tmp_path / "index", made.chainguard)
    (tmp_path / "on.yaml").write_text("lazy: true\n")
    ways = {"contents": ["--lazy"], "digest": [], "contents ": ["--config", str(tmp_path / "on.yaml")]}
    for checked, way in ways.items():
        assert main(["scan", target, "--index", str(index), "--no-cache", "-o", "json", *way]) == 0
        layers = json.loads(capsys.readouterr().out)["target"]["layers"]
        assert {layer["checked"] for layer in layers} == {checked.strip()}
