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
    hidden_entries: int = 50_000_000
    """Entries gone through for ``--scope all-layers``: those of the tree, each time that a layer hides some of them."""
    expanded: int = 64 * GIB
    """Uncompressed bytes of one layer."""
    expansion_ratio: int = 1000
    """Uncompressed bytes for one compressed byte, once ``expansion_grace`` has passed."""
    expansion_grace: int = 256 * MIB
    """Uncompressed bytes before the ratio counts; small layers of zeros are normal."""
    extended_header: int = 1 * MIB
    """One PAX or GNU long-name header."""
    toc: int = 64 * MIB
    """The table of contents of one layer, for ``--lazy``; a layer with a larger one is read whole."""
    ranges: int = 4096
    """Requests for parts of one layer, for ``--lazy``; a layer that needs more is read whole."""
    path: int = 4096
    """One path of an entry, or one link's target."""
    depth: int = 255
    """Components of one path."""
    kept_file: int = 16 * MIB
    """One file whose bytes are kept for reading (RECORD, METADATA, package databases)."""
    kept_total: int = 256 * MIB
    """All bytes kept of one image."""
    package_database: int = 256 * MIB
    """The database of rpm, which is read and not kept."""
    archive: int = 128 * MIB
    """One file of a tool's cache that is opened in memory; a larger wheel is matched by its sha256 only."""
    bundle: int = 1 * GIB
    """One wheel file, archive or program inside a layer that is opened, through a temporary file; a larger wheel is
    matched by its sha256 only."""
    archive_depth: int = 4
    """Archives inside archives."""
    archived_entries: int = 250_000
    """Files in all opened archives of one image together, those of an archive that lies there twice counted twice."""
    archives_expanded: int = 4 * GIB
    """Decompressed bytes of all archives and wheels of one layer together; or ten times their size, if that is more."""
    source_archive: int = 64 * MIB
    """Decompressed bytes of a source archive in a cache in which its name is looked for."""
    archive_members: int = 200_000
    """Members of one wheel or archive."""
    form: int = 64 * MIB
    """One changed file whose newlines or ELF sections are compared with the wheel's."""
    second_look_files: int = 500
    """Changed files that are read again to say in a note what was done to them."""
    second_look: int = 4 * GIB
    """Stored bytes of all layers that are read again for that."""
    guessed_names: int = 500
    """Top-level names without metadata for which projects are guessed and asked for."""
    guessed_wheels: int = 32
    """Wheels read of one guessed project to find the version whose files are there."""
    guessed_bytes: int = 256 * MIB
    """Bytes of those of them that can only be read whole."""
    code_kept: int = 4 * GIB
    """Sources and byte code of one image, kept in a temporary file for ``--check-bytecode``; what is beyond is told."""
    code_memory: int = 1 * GIB
    """Memory of a process that compiles a source again for ``--check-bytecode``."""
    code_pair_seconds: float = 20.0
    """Time for one source and its byte code."""
    code_seconds: float = 1800.0
    """Time for all of them in one scan; what is not compared by then is told."""
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
    attestation: int = 2 * MIB
    """What is signed about one wheel, as an index has it."""
    statement: int = 64 * MIB
    """One attestation about an image, with its signatures, as a registry or a file has it."""
    referrers: int = 200
    """Artifacts attached to one image that are opened to look for attestations; ten times as many are listed."""
    referrers_seconds: float = 300.0
    """All work with them."""
    request_seconds: float = 30.0
    """One request to an index or registry, until the first byte and between two."""
    index_seconds: float = 900.0
    """All work with indexes in one scan."""
    lock: int = 32 * MIB
    """One lock file."""
    lock_values: int = 1_000_000
    """Values in one lock file: every string, number, list, table and part of a key; of a requirements file, lines."""
    lock_depth: int = 32
    """Lists and tables inside one another in a lock file, and parts of one dotted key."""
    lock_files: int = 64
    """Files that requirements files name with ``-r`` and ``-c``, and that are read too."""
    cache: int = 4 * GIB
    """All that is remembered between scans, on disk; what was used least recently is forgotten first."""


DEFAULT_LIMITS = Limits()
