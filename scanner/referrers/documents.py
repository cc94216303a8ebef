"""The artifact that is attached to an image, and the index under the fallback tag, as bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from scanner.digest import Digest
from scanner.envelope import ENVELOPE_TYPE, STATEMENT_TYPE
from scanner.sources.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor

ARTIFACT_TYPE: Final = STATEMENT_TYPE
"""What kind of artifact it is, for those who filter: signed in-toto statements."""
EMPTY: Final = b"{}"
_EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One envelope that is attached to ``subject``, the manifest of an image."""

    envelope: bytes
    subject: Descriptor
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    def manifest(self) -> bytes:
        """Its manifest (image-spec 1.1, "Guidelines for Artifact Usage"): an empty configuration, one layer."""
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "artifactType": ARTIFACT_TYPE,
                "config": _descriptor(_EMPTY_TYPE, EMPTY),
                "layers": [{**_descriptor(ENVELOPE_TYPE, self.envelope), "annotations": dict(self.annotations)}],
                "subject": {
                    "mediaType": self.subject.media_type,
                    "digest": str(self.subject.digest),
                    "size": self.subject.size,
                },
                "annotations": dict(self.annotations),
            }
        )

    def entry(self) -> dict[str, Any]:
        """Its line in a list of referrers: type and annotations of the manifest are copied."""
        return {
            **_descriptor(OCI_MANIFEST, self.manifest()),
            "artifactType": ARTIFACT_TYPE,
            "annotations": dict(self.annotations),
        }


def fallback_tag(digest: Digest) -> str:
    """The tag under which the referrers of a manifest are listed where the registry does not list them."""
    return f"{digest.algorithm[:32]}-{digest.hex[:64]}"


def with_entry(index: Mapping[str, Any] | None, entry: Mapping[str, Any]) -> bytes:
    """An index with one more line. Everything else in it stays, known to us or not."""
    base = index or {"schemaVersion": 2, "mediaType": OCI_INDEX}
    lines: Sequence[Any] = base.get("manifests") or ()
    return _json({**base, "manifests": [*lines, entry]})


def has_entry(index: Mapping[str, Any] | None, entry: Mapping[str, Any]) -> bool:
    """Whether an index lists it."""
    lines = (index or {}).get("manifests") or ()
    return any(isinstance(line, dict) and line.get("digest") == entry["digest"] for line in lines)


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
