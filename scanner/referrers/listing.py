"""What is attached to an image, and what is in it.

The registry is asked for its list, and where it has no such interface for the index under the fallback tag. Both come
from whoever may push there: a line that makes no sense is passed over, so that it hides no other; pages, lines, bytes
and time are bounded; and a document counts only with the digest that its line gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from scanner.digest import Digest
from scanner.envelope import BUNDLE_TYPE, ENVELOPE_TYPE, STATEMENT_TYPE
from scanner.errors import LimitExceeded, TargetError, UntrustedContent
from scanner.referrers.documents import fallback_tag
from scanner.referrers.uploads import asking, joined
from scanner.sources.document import Node, parse_json, read_bounded
from scanner.sources.manifest import ACCEPT, OCI_INDEX, OCI_MANIFEST, Descriptor, check_content, descriptor_of
from scanner.sources.repository import Repository

_PAGES: Final = 50
_LINES: Final = 10
"""Listed artifacts for one that is opened (limit ``referrers``)."""
_LAYERS: Final = 16
_NO_INTERFACE: Final = frozenset({400, 404, 405, 406})
_NEXT: Final = re.compile(r'<([^<>]{1,4096})>[^,]*;\s*rel="?next"?')
_EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
_SAYS_NOTHING: Final = frozenset({None, _EMPTY_TYPE, ENVELOPE_TYPE, STATEMENT_TYPE})
"""Types of artifacts that may hold an envelope: cosign has listed its own as ``empty`` (sigstore/cosign#4422)."""
_CREATED: Final = "org.opencontainers.image.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """One attached artifact as a list has it; nothing of it has been checked."""

    descriptor: Descriptor

    @property
    def may_attest(self) -> bool:
        """Whether its type leaves room for an envelope."""
        kind = self.descriptor.artifact_type
        return self.descriptor.media_type == OCI_MANIFEST and (
            kind in _SAYS_NOTHING or str(kind).startswith(BUNDLE_TYPE)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What is attached, the newest by their own word first. ``via`` is who said so; ``left`` what was passed over."""

    referrers: tuple[Referrer, ...]
    via: str
    left: tuple[str, ...] = ()


@dataclass(slots=True)
class _Lines:
    """What has been read of a list."""

    most: int
    referrers: list[Referrer] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    seen: set[Digest] = field(default_factory=set)

    def take(self, index: Node) -> bool:
        """Take a page; False when there are enough."""
        wrong = 0
        for line in index["manifests"].items():
            if len(self.referrers) >= self.most:
                self.left.append(f"more than {self.most} artifacts are listed; the others were not looked at")
                return False
            try:
                descriptor = descriptor_of(line)
            except UntrustedContent:
                wrong += 1
                continue
            if descriptor.digest not in self.seen:
                self.seen.add(descriptor.digest)
                self.referrers.append(Referrer(descriptor=descriptor))
        if wrong:
            self.left.append(f"{wrong} of the listed artifacts make no sense")
        return True

    def listing(self, via: str) -> Listing:
        """All of it."""
        newest = sorted(self.referrers, key=lambda one: one.descriptor.annotations.get(_CREATED, ""), reverse=True)
        return Listing(referrers=tuple(newest), via=via, left=tuple(self.left))


def list_referrers(repository: Repository, digest: Digest) -> Listing:
    """What is attached to a manifest. Raises :class:`scanner.errors.TargetError` where the registry does not say."""
    lines = _Lines(most=_LINES * repository.limits.referrers)
    if _from_interface(repository, digest, lines):
        return lines.listing("the registry's list of referrers")
    tag = fallback_tag(digest)
    page = _page(repository, repository.url(f"manifests/{tag}"), repository.called(tag))
    if page is not None:
        lines.take(page[0])
    return lines.listing(f"the tag {tag}")


def _from_interface(repository: Repository, digest: Digest, lines: _Lines) -> bool:
    """Take the pages of the registry's own list; False where it has none."""
    url = repository.url(f"referrers/{digest}")
    what = f"referrers of {repository.called(digest)}"
    asked: set[str] = set()
    while True:
        asked.add(url)
        page = _page(repository, url, what)
        if page is None:
            if len(asked) == 1:
                return False
            raise TargetError(f"{what}: a page of the list is not there")
        following = _next(page[1], url)
        if not lines.take(page[0]) or not _NEXT.search(page[1][:8192]):
            return True
        if following is None or not repository.is_own(following) or following in asked or len(asked) >= _PAGES:
            lines.left.append("the list goes on elsewhere, in circles or without end; what follows was not looked at")
            return True
        url = following


def _page(repository: Repository, url: str, what: str) -> tuple[Node, str] | None:
    """An index, with where the next one is; None where there is no such thing."""
    with asking(what), repository.ask_at(url, {"Accept": OCI_INDEX}) as stream:
        if stream.status in _NO_INTERFACE:
            return None
        if stream.status != 200:
            raise repository.refusal(stream, what)
        kind = stream.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != OCI_INDEX:
            return None  # a page of something else that answers everything
        data = read_bounded(stream.body, limit=repository.limits.document, what=what)
        link = stream.headers.get("link", "")
    return parse_json(data, what=what), link


def _next(link: str, url: str) -> str | None:
    found = _NEXT.search(link[:8192])
    return joined(url, found[1]) if found else None


def read_documents(repository: Repository, referrer: Referrer, subject: Digest) -> Iterator[bytes]:
    """The documents in an artifact that may be envelopes, with sizes and digests checked.

    Raises :class:`scanner.errors.UntrustedContent` or :class:`scanner.errors.TargetError` with why it cannot be read.
    """
    manifest = referrer.descriptor
    what = f"artifact {manifest.digest}"
    if manifest.size > repository.limits.document:
        raise LimitExceeded(f"{what}: larger than {repository.limits.document} bytes (limit document)")
    accepted = {"Accept": ", ".join(ACCEPT)}
    data = _bytes(repository, f"manifests/{manifest.digest}", accepted, repository.limits.document, what)
    check_content(manifest, data, what=what)
    node = parse_json(data, what=what)
    about = node["subject"]
    if about.present and descriptor_of(about).digest != subject:
        raise UntrustedContent(f"{what}: it is attached to another manifest")
    layers = [descriptor_of(layer) for layer in node["layers"].items()[: _LAYERS + 1]]
    if len(layers) > _LAYERS:
        raise LimitExceeded(f"{what}: more than {_LAYERS} layers")
    for layer in layers:
        if layer.media_type == ENVELOPE_TYPE or layer.media_type.startswith(BUNDLE_TYPE):
            yield _blob(repository, layer)


def _blob(repository: Repository, layer: Descriptor) -> bytes:
    limit = repository.limits.statement
    what = f"envelope {layer.digest}"
    if layer.size > limit:
        raise LimitExceeded(f"{what}: larger than {limit} bytes (limit statement)")
    if layer.data is not None:
        return layer.data
    data = _bytes(repository, f"blobs/{layer.digest}", {}, min(limit, layer.size), what)
    check_content(layer, data, what=what)
    return data


def _bytes(repository: Repository, path: str, headers: dict[str, str], limit: int, what: str) -> bytes:
    with asking(what), repository.ask(path, headers) as stream:
        if stream.status != 200:
            raise repository.refusal(stream, what)
        return read_bounded(stream.body, limit=limit, what=what)
