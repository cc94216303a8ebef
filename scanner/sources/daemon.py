"""Images in a Docker daemon (``docker:``) and in a Podman service (``podman:``), through Docker's SDK.

A daemon exports an image as one tar whose ``manifest.json`` comes last and whose layers stand in
the order of their names, not of the image. So the export is written once to a temporary file
without a name, which is gone with the scan, and read as the docker archive that it is. Its size on
disk is the image's, uncompressed; ``TMPDIR`` says where. Asking for one export for each layer that
is out of order would cost the daemon many times that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from scanner.digest import Digest
from scanner.errors import AccessDenied, TargetError, TargetNotFound, UntrustedContent, UsageError
from scanner.image import Image, Platform
from scanner.limits import Limits
from scanner.reference import DOCKER_HUB, ArchiveReference, ImageName, ImageReference
from scanner.sources.archive import MANIFEST_FILE, images_in
from scanner.sources.document import Node
from scanner.sources.manifest import Wanted, check_platform
from scanner.sources.options import SourceOptions
from scanner.sources.tarball import Tarball, spool, temporary_file

if TYPE_CHECKING:
    from typing import BinaryIO

    from docker import DockerClient

_FIRST_BYTE_SECONDS: Final = 900
"""Docker writes an export to its own disk before it sends the first byte."""
_PODMAN_SOCKETS: Final = ("{XDG_RUNTIME_DIR}/podman/podman.sock", "/run/podman/podman.sock")
_DOCKER_SOCKET: Final = "unix:///var/run/docker.sock"
_TITLES: Final = {"docker": "Docker daemon", "podman": "Podman service"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What a daemon says of an image that it holds."""

    name: ImageName
    id: str
    platform: Platform | None
    diff_ids: tuple[Digest, ...]
    repo_digests: tuple[str, ...]

    @classmethod
    def of(cls, name: ImageName, answer: object, *, what: str) -> _Held:
        """Read the answer to "inspect"; :class:`UntrustedContent` if it is none."""
        node = Node(value=answer, path="", what=f"{what}: the daemon's answer")
        os_, architecture = node["Os"].optional_text(), node["Architecture"].optional_text()
        variant = node["Variant"].optional_text()
        return cls(
            name=name,
            id=node["Id"].text(),
            platform=Platform(os_, architecture, variant) if os_ and architecture else None,
            diff_ids=tuple(item.digest() for item in node["RootFS"]["Layers"].items()),
            repo_digests=tuple(item.text() for item in node["RepoDigests"].items()),
        )

    @property
    def digest(self) -> Digest | None:
        """The digest under which this name was pulled or pushed; None if it is not the only one.

        Of an image of several platforms it may be the index's: a daemon does not tell them apart.
        """
        found = set()
        for text in self.repo_digests:
            try:
                other = ImageName.parse(text)
            except UsageError:  # "<none>@<none>"
                continue
            if (other.host, other.repository) == (self.name.host, self.name.repository):
                found.add(other.digest)
        return found.pop() if len(found) == 1 else None


@contextmanager
def open_daemon(reference: ImageReference, *, platform: Wanted, options: SourceOptions) -> Iterator[tuple[Image, ...]]:
    """The image that a daemon holds under ``reference``; it can be read until the block is left.

    :class:`TargetNotFound` if no daemon answers or it has no such image, :class:`AccessDenied` if
    its socket may not be used.
    """
    with temporary_file() as export:
        held = _export(reference, platform, options, export)
        yield (_image(reference, held, Tarball(export, str(reference), options.limits), options.limits),)


def _export(reference: ImageReference, platform: Wanted, options: SourceOptions, export: BinaryIO) -> _Held:
    """Find the image and write its export to ``export``."""
    with _problems(reference), closing(_client(reference.scheme, options)) as client:
        held = _find(client, reference)
        check_platform(held.platform, platform, what=str(reference))
        client.api.timeout = _FIRST_BYTE_SECONDS
        # by its ID: the name may have moved on since it was looked up
        chunks = cast("Iterator[bytes]", client.api.get_image(held.id))
        spool(cast("BinaryIO", _Chunks(chunks)), export, limits=options.limits, what=str(reference))
    return held


def _image(reference: ImageReference, held: _Held, tarball: Tarball, limits: Limits) -> Image:
    # Docker with containerd's store writes no manifest.json for other platforms than its own
    scheme = "docker-archive" if tarball.size(MANIFEST_FILE) is not None else "oci-archive"
    inside = ArchiveReference(scheme=scheme, path=str(reference), name=None, digest=None)
    (image,) = images_in(tarball, inside, platform=held.platform, limits=limits)
    if held.diff_ids and held.diff_ids != tuple(layer.diff_id for layer in image.layers):
        raise UntrustedContent(f"{reference}: the daemon exports other layers than it says the image has")
    return replace(
        image, reference=str(reference), digest=held.digest or image.digest, platform=image.platform or held.platform
    )


def _find(client: DockerClient, reference: ImageReference) -> _Held:
    from docker.errors import NotFound  # noqa: PLC0415 the SDK is slow to import

    for local in _names(reference):
        try:
            answer = client.api.inspect_image(local)  # type: ignore[no-untyped-call]
        except NotFound:
            continue
        return _Held.of(ImageName.parse(local), answer, what=str(reference))
    raise TargetNotFound(f"{reference}: the {_TITLES[reference.scheme]} has no such image")


def _names(reference: ImageReference) -> Sequence[str]:
    """The names to ask for. What Podman builds without a host's name is ``localhost/…``."""
    short = reference.name.host == DOCKER_HUB and not reference.local.startswith(DOCKER_HUB)
    if reference.scheme == "podman" and short:
        return (f"localhost/{reference.local}", reference.local)
    return (reference.local,)


# ── the connection ───────────────────────────────────────────────────────────────────────────


def _client(scheme: str, options: SourceOptions) -> DockerClient:
    """A daemon on this machine may be asked offline, by its own socket; one elsewhere may not."""
    url = _podman_url(os.environ) if scheme == "podman" else os.environ.get("DOCKER_HOST") or _DOCKER_SOCKET
    if options.offline and not url.startswith(("unix:", "/")):
        raise TargetNotFound(f"{scheme}: the {_TITLES[scheme]} at {_clean(url)} is not asked (offline)")
    import docker  # noqa: PLC0415 slow to import

    seconds = max(1, int(options.limits.request_seconds))
    if scheme == "docker" and not options.offline:
        # DOCKER_HOST and its companions, else the command line's current context
        return docker.from_env(timeout=seconds)
    return docker.DockerClient(base_url=url, timeout=seconds)


def _podman_url(environment: Mapping[str, str]) -> str:
    """Where Podman's service listens: ``CONTAINER_HOST``, else the first socket that is there."""
    if url := environment.get("CONTAINER_HOST"):
        if url.startswith("ssh:"):
            raise TargetNotFound(
                "podman: CONTAINER_HOST is an ssh address, which cgscan does not use",
                hint="forward the socket with ssh -L, or scan an archive: podman save",
            )
        return re.sub(r"^unix:/*", "unix:///", url)
    sockets = [text.format_map(_Filled(environment)) for text in _PODMAN_SOCKETS]
    for socket in sockets:
        if Path(socket).is_socket():
            return f"unix://{socket}"
    raise TargetNotFound(
        f"podman: no service listens at {' or '.join(sockets)}",
        hint="start it with: systemctl --user start podman.socket",
    )


@contextmanager
def _problems(reference: ImageReference) -> Iterator[None]:
    """The one place where errors of the SDK and of what is below it become ours."""
    import requests  # noqa: PLC0415 comes with the SDK
    import urllib3  # noqa: PLC0415
    from docker.errors import APIError, DockerException  # noqa: PLC0415

    title = _TITLES[reference.scheme]
    try:
        yield
    except APIError as problem:
        raise TargetError(f"{reference}: the {title} answers: {_clean(problem.explanation or problem)}") from problem
    except (
        DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        ConnectionError,
        TimeoutError,
    ) as problem:
        if _cause(problem, PermissionError):
            raise AccessDenied(f"{reference}: the {title}'s socket may not be used by this user") from problem
        why = _cause(problem, FileNotFoundError, ConnectionRefusedError)
        text = (why.strerror or "no answer").lower() if why else _clean(problem)
        raise TargetNotFound(f"{reference}: no {title} can be asked ({text})") from problem


def _cause(problem: BaseException | None, *kinds: type[OSError]) -> OSError | None:
    """The first error of one of ``kinds`` among ``problem``'s causes and arguments."""
    for _ in range(10):
        if problem is None or isinstance(problem, kinds):
            return problem
        wrapped = next((item for item in problem.args if isinstance(item, BaseException)), None)
        wrapped = wrapped or next((item for item in _nested(problem) if isinstance(item, kinds)), None)
        problem = wrapped or problem.__cause__ or problem.__context__
    return None


def _nested(problem: BaseException) -> Sequence[object]:
    return [item for argument in problem.args if isinstance(argument, tuple) for item in argument]


def _clean(text: object) -> str:
    """One short line without an address's user name and password."""
    return re.sub(r"//[^/@\s]*@", "//", " ".join(str(text).split()))[:300]


class _Filled(dict[str, str]):
    """The environment, with ``/run/user/<uid>`` for a missing ``XDG_RUNTIME_DIR``."""

    def __missing__(self, key: str) -> str:
        return f"/run/user/{os.getuid()}"


class _Chunks:
    """An iterator of chunks as something to read from; the sizes are the iterator's."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, size: int = -1, /) -> bytes:
        return next((chunk for chunk in self._chunks if chunk), b"")
