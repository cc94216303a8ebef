"""``docker:`` and ``podman:`` against a real Podman service, which speaks Docker's API too."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures import images
from scanner.errors import CgscanError, LimitExceeded, TargetError, TargetNotFound, UntrustedContent
from scanner.image import Image, Platform
from scanner.limits import Limits
from scanner.reference import ImageName, ImageReference, parse_reference
from scanner.sources.daemon import _Held, open_daemon
from scanner.sources.manifest import Wanted
from scanner.sources.options import SourceOptions

WAIT = 60.0


@dataclass(frozen=True)
class Service:
    """A running Podman service and the way to its storage."""

    command: tuple[str, ...]
    socket: Path

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def run(self, *arguments: str) -> str:
        alone = {name: value for name, value in os.environ.items() if name != "CONTAINER_HOST"}
        command = [*self.command, *arguments]
        done = subprocess.run(command, check=True, capture_output=True, timeout=WAIT, text=True, env=alone)
        return done.stdout.strip()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    # a socket's path may have 107 bytes: pytest's own folders are too long for that
    with tempfile.TemporaryDirectory(prefix="cgscan-") as name:
        folder = Path(name)
        places = ("--root", str(folder / "root"), "--runroot", str(folder / "run"))
        command = ("podman", *places, "--storage-driver", "vfs")
        found = Service(command=command, socket=folder / "podman.sock")
        process = subprocess.Popen(
            [*command, "system", "service", "--time=0", found.url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _await(process, found.socket)
            yield found
        finally:
            process.terminate()
            process.wait(WAIT)


def _await(process: subprocess.Popen[bytes], path: Path) -> None:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            if path.exists() and probe.connect_ex(str(path)) == 0:
                return
        if process.poll() is not None:
            pytest.skip("podman's service does not run here")
        threading.Event().wait(0.05)
    pytest.skip("podman's service does not answer")


def layers() -> list[images.LayerBlob]:
    entries = (("etc/base", b"base" * 100), ("etc/word", b"word"))
    return [images.layer_from_entries([images.file_entry(*entry)], compression="gzip") for entry in entries]


@pytest.fixture(scope="module")
def loaded(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("archives")
    for name in ("registry.example/team/app:1", "localhost/mine:2"):
        path = images.write_docker_archive(folder / "a.tar", layers(), name=name)
        try:
            service.run("load", "-i", str(path))
        except subprocess.CalledProcessError as problem:
            pytest.skip(f"podman cannot load an image here: {problem.stderr}")
    return service


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No daemon of the machine is in reach."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "CONTAINER_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def reference(target: str) -> ImageReference:
    found = parse_reference(target)
    assert isinstance(found, ImageReference)
    return found


def scan(target: str, platform: Wanted = None, limits: Limits | None = None) -> tuple[Image, list[bytes]]:
    options = SourceOptions(limits=limits or Limits())
    with open_daemon(reference(target), platform=platform, options=options) as (image,):
        tars = []
        for layer in image.layers:
            with layer.tar(Limits()) as tar:
                tars.append(b"".join(iter(lambda stream=tar: stream.read(65536), b"")))  # type: ignore[misc]
        return image, tars


@pytest.mark.parametrize(("scheme", "variable"), [("docker", "DOCKER_HOST"), ("podman", "CONTAINER_HOST")])
def test_an_image_is_exported(loaded: Service, monkeypatch: pytest.MonkeyPatch, scheme: str, variable: str) -> None:
    monkeypatch.setenv(variable, loaded.url)
    image, tars = scan(f"{scheme}:registry.example/team/app:1")
    assert image.reference == f"{scheme}:registry.example/team/app:1"
    assert tars == [one.tar() for one in layers()]
    assert [str(layer.diff_id) for layer in image.layers] == [one.diff_id for one in layers()]
    assert image.platform == Platform("linux", "amd64")
    assert [layer.created_by for layer in image.layers] == ["COPY layer-0 /", "COPY layer-1 /"]
    told = loaded.run("image", "inspect", "--format", "{{.Digest}}", "registry.example/team/app:1")
    assert str(image.digest) == told


def test_podmans_socket_is_found(loaded: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "podman").mkdir()
    (tmp_path / "podman" / "podman.sock").symlink_to(loaded.socket)
    assert len(scan("podman:registry.example/team/app:1")[1]) == 2


def test_podmans_own_images_have_no_host(loaded: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_HOST", f"unix:{loaded.socket}")
    image, tars = scan("podman:mine:2")
    assert len(tars) == 2
    assert image.digest is not None


def test_nothing_is_left_in_the_temporary_folder(
    loaded: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", loaded.url)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    options = SourceOptions()
    with open_daemon(reference("docker:registry.example/team/app:1"), platform=None, options=options):
        assert list(folder.iterdir()) == []
    folder.rmdir()


def test_the_platform_must_be_the_images(loaded: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", loaded.url)
    assert scan("docker:registry.example/team/app:1", "linux/amd64")[0].platform == Platform("linux", "amd64")
    with pytest.raises(TargetNotFound, match="no image for linux/arm64; there is one for linux/amd64"):
        scan("docker:registry.example/team/app:1", "linux/arm64")


def test_an_export_is_bounded(loaded: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", loaded.url)
    with pytest.raises(LimitExceeded, match="limit expanded"):
        scan("docker:registry.example/team/app:1", limits=Limits(expanded=1000))


def test_an_image_that_is_not_there_is_not_found(loaded: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", loaded.url)
    with pytest.raises(TargetNotFound, match=r"none:1: the Docker daemon has no such image$"):
        scan("docker:registry.example/none:1")


# ── daemons that do not answer ───────────────────────────────────────────────────────────────


def test_no_daemon_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(TargetNotFound, match=r"no Docker daemon can be asked \(no such file or directory\)"):
        scan("docker:app")
    with pytest.raises(TargetNotFound, match=r"no service listens at .*podman\.sock") as caught:
        scan("podman:app")
    assert caught.value.hint is not None
    monkeypatch.setenv("CONTAINER_HOST", "ssh://user@host/run/podman.sock")
    with pytest.raises(TargetNotFound, match="ssh address"):
        scan("podman:app")


@pytest.mark.parametrize(
    "url", ["tcp://127.0.0.1:{port}", "tcp://user:secret@127.0.0.1:{port}", "nonsense://x", "tcp:"]
)
def test_odd_addresses_are_errors_without_secrets(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        monkeypatch.setenv("DOCKER_HOST", url.format(port=taken.getsockname()[1]))
        with pytest.raises(TargetError) as caught:
            scan("docker:app")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """A server that gives these answers in turn, one for each connection; gives its address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            for answer in answers:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(WAIT)


def answer(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


VERSION = answer(b'{"ApiVersion": "1.43"}')
INSPECTED = answer(images.json_bytes({"Id": "sha256:" + "0" * 64, "Os": "linux", "Architecture": "amd64"}))


@pytest.mark.parametrize(
    "answers",
    [
        [b"nonsense\r\n\r\n"],
        [b""],
        [answer(b"[]")],
        [answer(b"not json")],
        [VERSION, answer(b'{"message": "broken"}', "500 Internal Server Error")],
        [VERSION, answer(b"[1]")],
        [VERSION, answer(b'{"Id": 7}'), answer(b"")],
        [VERSION, answer(b'{"Id": "x", "RootFS": []}')],
        [VERSION, answer(b'{"Id": "x", "RepoDigests": 7}')],
        [VERSION, INSPECTED, answer(b"x" * 100, length=10_000)],
        [VERSION, INSPECTED, answer(b"")],
        [VERSION, INSPECTED, answer(b"x" * 2000)],
        [VERSION, INSPECTED, answer(b'{"message": "no room"}', "500 Internal Server Error")],
    ],
)
def test_daemons_that_answer_nonsense_are_errors_of_ours(
    monkeypatch: pytest.MonkeyPatch, answers: Sequence[bytes]
) -> None:
    with answering(*answers) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        with pytest.raises(CgscanError):
            scan("docker:app")


def export_of(folder: Path) -> bytes:
    return images.write_docker_archive(folder / "export.tar", layers()).read_bytes()


def test_an_export_of_another_image_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"Id": "sha256:" + "0" * 64, "RootFS": {"Layers": [images.digest_of(b"other")]}}
    with answering(VERSION, answer(images.json_bytes(other)), answer(export_of(tmp_path))) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        with pytest.raises(UntrustedContent, match="exports other layers"):
            scan("docker:app")


def test_an_export_that_is_a_layout_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker with containerd's store leaves ``manifest.json`` out for other platforms than its own."""
    layout = images.write_oci_layout(tmp_path / "layout", layers())
    files = [path for path in sorted(layout.rglob("*")) if path.is_file()]
    data = images.tar_of(images.file_entry(str(path.relative_to(layout)), path.read_bytes()) for path in files)
    with answering(VERSION, INSPECTED, answer(data)) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        image, tars = scan("docker:app")
    assert tars == [one.tar() for one in layers()]
    assert image.reference == "docker:app"
    assert image.digest is not None


# ── digests ──────────────────────────────────────────────────────────────────────────────────

ONE, OTHER = images.digest_of(b"1"), images.digest_of(b"2")


@pytest.mark.parametrize(
    ("told", "digest"),
    [
        ([f"app@{ONE}"], ONE),
        ([f"docker.io/library/app@{ONE}", f"mirror.example/app@{OTHER}"], ONE),
        ([f"mirror.example/app@{ONE}"], None),
        ([f"app@{ONE}", f"app@{OTHER}"], None),
        (["<none>@<none>"], None),
        (None, None),
    ],
)
def test_the_digest_is_the_one_of_the_name(told: object, digest: str | None) -> None:
    held = _Held.of(ImageName.parse("app:1"), {"Id": "x", "RepoDigests": told}, what="W")
    assert (str(held.digest) if held.digest else None) == digest
