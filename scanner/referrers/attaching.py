"""An artifact attached to an image: its blobs, its manifest, and where the registry keeps no list of its own, the list.

The list is an index under a tag that everybody rewrites who attaches something: read, one line added, written. Two who
do that at once may lose each other's line. So it is written on the condition that it is what was read (``If-Match``),
and since registries ignore that (docker-registry 2.8), it is read again a while afterwards and written again where the
line has gone. What remains is a writer who takes longer for one write than others wait.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from scanner.decoding import json_value
from scanner.digest import Digest
from scanner.errors import LimitExceeded, TargetError, UsageError
from scanner.referrers.documents import EMPTY, Artifact, fallback_tag, has_entry, with_entry
from scanner.referrers.uploads import asking, put_blob, put_manifest
from scanner.sources.document import read_bounded
from scanner.sources.manifest import ACCEPT, OCI_INDEX, OCI_MANIFEST
from scanner.sources.repository import Repository

_TRIES: Final = 20
_PAUSE: Final = (0.1, 0.4)
"""Seconds before the list is looked at again; not the same for two who started together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """What was pushed. ``tag`` is the list that was written, None where the registry keeps it itself."""

    digest: Digest
    tag: str | None


def attach(repository: Repository, artifact: Artifact) -> Attached:
    """Push an artifact beside the image that it is about. Doing it again changes nothing.

    Raises :class:`scanner.errors.TargetError` for what the registry does not take.
    """
    manifest = artifact.manifest()
    digest = Digest.of(manifest)
    for blob in (EMPTY, artifact.envelope):
        put_blob(repository, blob)
    answer = put_manifest(repository, manifest, str(digest), OCI_MANIFEST)
    if "oci-subject" in answer.headers:  # the registry has seen what it is about, and lists it
        return Attached(digest=digest, tag=None)
    tag = fallback_tag(artifact.subject.digest)
    _list_under(repository, tag, artifact.entry())
    return Attached(digest=digest, tag=tag)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """The index under a tag, None where there is none, and what the registry calls this state of it."""

    index: Mapping[str, Any] | None
    etag: str | None

    @property
    def condition(self) -> dict[str, str]:
        """What has to be so still when it is written."""
        if self.index is None:
            return {"If_None_Match": "*"}
        return {"If_Match": self.etag} if self.etag else {}


def _list_under(repository: Repository, tag: str, entry: Mapping[str, Any]) -> None:
    found = _read(repository, tag)
    for _ in range(_TRIES):
        if not has_entry(found.index, entry):
            _write(repository, tag, with_entry(found.index, entry), found.condition)
        started = time.monotonic()
        seen = _read(repository, tag)
        time.sleep(random.uniform(*_PAUSE) + 2 * (time.monotonic() - started))  # noqa: S311 - no secret
        found = _read(repository, tag)
        if has_entry(seen.index, entry) and has_entry(found.index, entry):
            return
    raise TargetError(
        f"{repository.called(tag)}: others write the list of attached artifacts all the time",
        hint="it is pushed, but not listed; try again",
    )


def _write(repository: Repository, tag: str, index: bytes, condition: Mapping[str, str]) -> None:
    """Write it unless the registry says that it has changed since."""
    if len(index) > repository.limits.document:
        raise LimitExceeded(
            f"{repository.called(tag)}: the list of attached artifacts would be larger than "
            f"{repository.limits.document} bytes (limit document)"
        )
    put_manifest(repository, index, tag, OCI_INDEX, **condition)


def _read(repository: Repository, tag: str) -> _Read:
    """What is under the tag. What is there and is no index is not written over."""
    what = repository.called(tag)
    with asking(what), repository.ask(f"manifests/{tag}", {"Accept": ", ".join(ACCEPT)}) as stream:
        if stream.status == 404:
            return _Read(index=None, etag=None)
        if stream.status != 200:
            raise repository.refusal(stream, what)
        data = read_bounded(stream.body, limit=repository.limits.document, what=what)
        etag = stream.headers.get("etag")
    try:
        index = json_value(data, what)
    except UsageError as problem:
        raise TargetError(problem.message) from problem
    lines = index.get("manifests") or [] if isinstance(index, dict) else None
    if not isinstance(index, dict) or index.get("mediaType", OCI_INDEX) != OCI_INDEX or not isinstance(lines, list):
        raise TargetError(
            f"{what}: there is something else than an index of attached artifacts", hint="it was left alone"
        )
    return _Read(index=index, etag=etag)
