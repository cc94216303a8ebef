"""Reference -> Target: one module for each medium.

In reading order::

    options     what every source is told besides the reference
    document    JSON out of hostile hands
    files       regular files and windows into them
    manifest    indexes, manifests and configurations -> Image
    layout      oci-dir, and the layout inside an oci-archive
    tarball     the outer tar of an archive
    archive     docker-archive, oci-archive
    daemon      docker, podman
    local       dir, file
    credentials, tokens, repository, resuming, parts, registry, catalog

Here the kinds meet: a prefix names one, without a prefix it is detected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import assert_never

from scanner.errors import AccessDenied, TargetError, TargetNotFound, UnsupportedTarget, UsageError
from scanner.image import ALL_PLATFORMS, Platform, Target
from scanner.reference import (
    SCHEMES,
    ArchiveReference,
    BareReference,
    ImageReference,
    PathReference,
    Reference,
    image_reference,
)
from scanner.sources.files import problems_with
from scanner.sources.options import SourceOptions

__all__ = ["SourceOptions", "open_targets"]


@contextmanager
def open_targets(
    reference: Reference, *, platform: Platform | str | None, options: SourceOptions
) -> Iterator[tuple[Target, ...]]:
    """What ``reference`` means: one target, or one for each image of an index with ``platform="all"``.

    ``platform`` None is the host's, else linux/amd64, else the only one there. Layers can be read
    until the block is left. Raises what :mod:`scanner.errors` draws under ``TargetError`` and
    ``UntrustedContent``; :class:`TargetNotFound` lists what was tried for a name without a prefix.
    """
    if isinstance(platform, str) and platform != ALL_PLATFORMS:
        platform = Platform.parse(platform)
    with ExitStack() as stack:
        if isinstance(reference, BareReference):
            yield _detected(reference, platform, options, stack)
        else:
            yield stack.enter_context(_opened(reference, platform, options))


@contextmanager
def _opened(
    reference: ImageReference | ArchiveReference | PathReference,
    platform: Platform | str | None,
    options: SourceOptions,
) -> Iterator[tuple[Target, ...]]:
    if isinstance(reference, PathReference):
        from scanner.sources.local import open_path  # noqa: PLC0415

        yield (open_path(reference),)
        return
    with _images(reference, platform, options) as images:
        yield tuple(images)


def _images(
    reference: ImageReference | ArchiveReference, platform: Platform | str | None, options: SourceOptions
) -> AbstractContextManager[Sequence[Target]]:
    """Open with the module of the scheme, which is imported only now: the SDK and the client are slow to load."""
    match reference:
        case ImageReference(scheme="registry"):
            from scanner.sources.registry import open_registry  # noqa: PLC0415

            return open_registry(reference.name, platform=platform, options=options)
        case ImageReference():
            from scanner.sources.daemon import open_daemon  # noqa: PLC0415

            return open_daemon(reference, platform=platform, options=options)
        case ArchiveReference(scheme="oci-dir"):
            from scanner.sources.layout import open_layout  # noqa: PLC0415

            return open_layout(reference, platform=platform, options=options)
        case ArchiveReference():
            from scanner.sources.archive import open_archive  # noqa: PLC0415

            return open_archive(reference, platform=platform, options=options)
        case _:
            assert_never(reference)


# ── without a prefix ─────────────────────────────────────────────────────────────────────────


def _detected(
    reference: BareReference, platform: Platform | str | None, options: SourceOptions, stack: ExitStack
) -> tuple[Target, ...]:
    """An existing path is looked at; any other name is asked of the daemons, then of the registry."""
    path = Path(reference.text)
    with problems_with(path):
        exists = path.exists()
    if exists:
        return stack.enter_context(_opened(_on_disk(path, reference.text, options), platform, options))
    attempts = [("path", "no such file or directory")]
    hint = "say what it is with a prefix: " + " ".join(f"{scheme}:" for scheme in SCHEMES)
    for candidate in _as_image(reference.text, attempts):
        try:
            return stack.enter_context(_opened(candidate, platform, options))
        except UnsupportedTarget:
            raise  # it is there
        except TargetError as problem:
            attempts.append((candidate.scheme, problem.message.removeprefix(f"{candidate}: ")))
            if isinstance(problem, AccessDenied) and problem.hint:
                hint = problem.hint
    raise TargetNotFound(
        f"{reference}: not found",
        attempts=attempts,
        hint=hint,
    )


def _as_image(text: str, attempts: list[tuple[str, str]]) -> Sequence[ImageReference]:
    """The ways to read ``text`` as an image's name; none, and an attempt more, if it is none."""
    if text.startswith(("/", "./", "../", "~")):
        return ()
    try:
        return [image_reference(scheme, text) for scheme in ("docker", "podman", "registry")]
    except UsageError as problem:
        attempts.append(("image name", problem.message))
        return ()


def _on_disk(path: Path, text: str, options: SourceOptions) -> ArchiveReference | PathReference:
    """What a path holds, by its contents."""
    from scanner.sources.archive import detect_archive  # noqa: PLC0415

    if path.is_dir():
        if (path / "oci-layout").is_file():
            return ArchiveReference(scheme="oci-dir", path=text, name=None, digest=None)
        if (path / "version").is_file() and (path / "manifest.json").is_file():
            # as a tree it would show no distribution at all
            raise UnsupportedTarget(
                f"{text}: an image folder of skopeo's dir: kind, which cgscan does not read",
                hint="copy it with: skopeo copy dir:PATH oci:OTHER; to scan it as a tree all the same: dir:PATH",
            )
        return PathReference(scheme="dir", path=text)
    scheme = detect_archive(path, options.limits)
    if scheme is not None:
        return ArchiveReference(scheme=scheme, path=text, name=None, digest=None)
    return PathReference(scheme="file", path=text)
