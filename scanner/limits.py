"""Bounds on hostile input, with their defaults.

Every bound is a value that a flag or the configuration file can change; nothing in the
scanner compares with a number written elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one scan may cost. Sizes are bytes, times are seconds."""

    document: int = 4 * MIB
    """A manifest, index or image configuration."""
    layers: int = 1024
    """Layers of one image (runtimes stop at 127; squashing tools have made more)."""
    entries: int = 2_000_000
    """Tar entries of one image, all layers together."""
    expanded: int = 64 * GIB
    """Uncompressed bytes of one layer."""
    expansion_ratio: int = 1000
    """Uncompressed bytes for one compressed byte, once ``expansion_grace`` has passed."""
    expansion_grace: int = 256 * MIB
    """Uncompressed bytes before the ratio counts; small layers of zeros are normal."""
    extended_header: int = 1 * MIB
    """One PAX or GNU long-name header."""
    path: int = 4096
    """One path of an entry, or one link's target."""
    depth: int = 255
    """Components of one path."""
    kept_file: int = 16 * MIB
    """One file whose bytes are kept for reading (RECORD, METADATA, package databases)."""
    kept_total: int = 256 * MIB
    """All bytes kept of one image."""
    archive: int = 128 * MIB
    """One wheel file inside a layer that is opened; a larger one is matched by its sha256 only."""
    archive_members: int = 200_000
    """Members of one wheel or archive."""
    member: int = 64 * MIB
    """One metadata member of a wheel that is read as a whole."""
    wheel_expanded: int = 4 * GIB
    """All members of one wheel, decompressed; and no more than ``wheel_ratio`` times the file after the grace."""
    wheel_ratio: int = 100
    """Decompressed bytes for one byte of a wheel file, once ``expansion_grace`` has passed."""
    wheel_download: int = 4 * GIB
    """One wheel downloaded from an index as a whole."""
    page: int = 64 * MIB
    """One answer of an index."""
    request_seconds: float = 30.0
    """One request to an index or registry, until the first byte and between two."""
    index_seconds: float = 900.0
    """All work with indexes in one scan."""


DEFAULT_LIMITS = Limits()
