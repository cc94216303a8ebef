"""``open_targets``: prefixes lead to their sources, everything else is detected."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fixtures import images
from scanner.errors import (
    AccessDenied,
    TargetNotFound,
    UnsupportedTarget,
    UntrustedContent,
    UsageError,
)
from scanner.image import Directory, File, Image, Platform, Target
from scanner.reference import parse_reference
from scanner.sources import SourceOptions, open_targets


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No daemon is in reach."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/podman.sock")


def layers() -> list[images.LayerBlob]:
    return [images.layer_from_entries([images.file_entry("etc/word", b"word")], compression="gzip")]


def opened(target: str, platform: Platform | str | None = None) -> tuple[Target, ...]:
    with open_targets(parse_reference(target), platform=platform, options=SourceOptions()) as found:
        for one in found:
            if isinstance(one, Image):
                with one.layers[0].open() as stream:
                    assert stream.read(1)
        return found


def test_paths_are_told_by_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images.write_oci_layout(tmp_path / "layout", layers())
    images.write_docker_archive(tmp_path / "classic.tar", layers())
    images.write_docker_archive(tmp_path / "modern.tar", layers(), style="modern")
    (tmp_path / "rootfs.tar").write_bytes(images.tar_of([images.file_entry("etc/passwd", b"")]))
    (tmp_path / "tree").mkdir()
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("a.py", "")
    expected = {
        "layout": "oci-dir",
        "classic.tar": "docker-archive",
        "modern.tar": "oci-archive",
        "rootfs.tar": "file",
        "tree": "dir",
        "a.whl": "file",
    }
    for name, scheme in expected.items():
        for text in (name, f"./{name}", str(tmp_path / name)):
            (target,) = opened(text)
            assert target.reference == f"{scheme}:{text}"
            kind = {"dir": Directory, "file": File}.get(scheme, Image)
            assert isinstance(target, kind)
            assert opened(target.reference)[0].reference == target.reference


def test_platforms_go_through(tmp_path: Path) -> None:
    images.multi_platform_layout(tmp_path / "l", {"linux/amd64": layers(), "linux/arm64": layers()})
    target = str(tmp_path / "l")
    assert len(opened(target, "all")) == 2
    for platform in ("linux/arm64", Platform("linux", "arm64")):
        (image,) = opened(target, platform)
        assert isinstance(image, Image)
        assert image.platform == Platform("linux", "arm64")
    with pytest.raises(UsageError, match="not a platform"):
        opened(target, "arm")
    assert isinstance(opened(f"dir:{tmp_path}", "all")[0], Directory)


def test_a_skopeo_folder_is_not_taken_for_a_tree(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("Directory Transport Version: 1.1\n")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UnsupportedTarget, match="skopeo"):
        opened(str(tmp_path))
    assert isinstance(opened(f"dir:{tmp_path}")[0], Directory)


def test_a_damaged_image_archive_is_not_scanned_as_a_file(tmp_path: Path) -> None:
    path = images.write_docker_archive(tmp_path / "a.tar", layers())
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UntrustedContent, match=r"a\.tar"):
        opened(str(path))


def test_what_cannot_be_found_says_what_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetNotFound) as caught:
        opened("127.0.0.1:9/team/app:1")
    assert [where for where, _ in caught.value.attempts] == ["path", "docker", "podman", "registry"]
    assert dict(caught.value.attempts)["docker"] == "no Docker daemon can be asked (no such file or directory)"
    assert all(why for _, why in caught.value.attempts)
    assert caught.value.hint is not None
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["/no/such/path", "./none", "../none", "~/none"])
def test_what_is_written_as_a_path_is_asked_of_nobody(text: str) -> None:
    with pytest.raises(TargetNotFound) as caught:
        opened(text)
    assert caught.value.attempts == (("path", "no such file or directory"),)


def test_a_name_that_no_image_can_have_is_asked_of_nobody() -> None:
    with pytest.raises(TargetNotFound) as caught:
        opened("No Such Thing")
    assert [where for where, _ in caught.value.attempts] == ["path", "image name"]


def test_a_prefix_asks_only_what_it_names() -> None:
    with pytest.raises(TargetNotFound, match="Docker daemon") as caught:
        opened("docker:app")
    assert caught.value.attempts == ()
    with pytest.raises(TargetNotFound, match="Podman service"):
        opened("podman:app")


def test_a_path_that_may_not_be_read_is_not_looked_for_elsewhere(bounded_rights: Path) -> None:
    (bounded_rights / "x").touch()
    (bounded_rights / "x").chmod(0)
    with pytest.raises(AccessDenied):
        opened(str(bounded_rights / "x"))


def test_an_error_inside_the_block_is_not_taken_for_an_attempt(tmp_path: Path) -> None:
    images.write_oci_layout(tmp_path, layers())
    with (
        pytest.raises(TargetNotFound, match="mine"),
        open_targets(parse_reference(str(tmp_path)), platform=None, options=SourceOptions()),
    ):
        raise TargetNotFound("mine")


def test_importing_sources_loads_neither_sdk_nor_client() -> None:
    program = (
        "import sys, scanner.sources; print(sorted({'docker', 'httpx', 'requests', 'tarsafe'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
