"""What the documents of a dist-info or egg-info say: names, versions, where it was installed from.

Everything here is a claim. The parsers take what real projects have and never raise. Sources: the core metadata
specification, PEP 427 and setuptools (the folder's name), PEP 503, PEP 610 (``direct_url.json``), PEP 710
(``provenance_url.json``).
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from scanner.digest import Digest
from scanner.distribution import Identity
from scanner.errors import UsageError

HEADER_BYTES: Final = 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9.!+_-]{1,100}")
_STEM = re.compile(r"(?P<name>.+?)(?:-(?P<version>\d[^-]*))?(?:-py[0-9.]+)?")


def headers(data: bytes) -> dict[str, str]:
    """The first usable ``Name`` and ``Version`` of the header block, whatever else is wrong with it."""
    found: dict[str, str] = {}
    for line in data[:HEADER_BYTES].decode("utf-8-sig", "replace").replace("\r\n", "\n").split("\n"):
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        if not colon or line[0] in " \t":  # a folded line goes on with the header before it
            continue
        key, value = key.strip().lower(), value.strip()
        usable = _NAME.fullmatch(value) if key == "name" else _VERSION.fullmatch(value)
        if key in ("name", "version") and key not in found and usable and len(value) <= 200:
            found[key] = value
    return found


def of_folder(folder: str) -> Identity | None:
    """What the name of a dist-info, egg-info, egg or egg-link says; None where it names no project."""
    stem = _STEM.fullmatch(folder.rpartition(".")[0])
    if not stem or len(folder) > 500 or not _NAME.fullmatch(stem["name"]):
        return None
    version = stem["version"]
    return Identity(name=canonicalize_name(stem["name"]), version=version if _usable(version) else None)


def _usable(version: str | None) -> bool:
    return version is not None and _VERSION.fullmatch(version) is not None


def disagreement(known: Identity, folder: Identity | None) -> Identity | None:
    """What the folder says where that is another project or version than ``known``, not another spelling of it."""
    if folder is None:
        return None
    version = folder.version or known.version
    if folder.name == known.name and _same_version(version, known.version):
        return None
    return Identity(name=folder.name, version=version)


def _same_version(one: str | None, other: str | None) -> bool:
    """Whether two spellings mean one version (PEP 440); what is none by it is compared as escaped by setuptools."""
    if one is None or other is None:
        return True
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return re.sub(r"[^a-z0-9]+", ".", one.lower()) == re.sub(r"[^a-z0-9]+", ".", other.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What an installer noted of where it had something from. ``local`` and ``source`` are set for local installs."""

    readable: bool = True
    local: str | None = None
    source: str | None = None
    """The folder of the source in the target, for a ``file:`` URL."""
    archive_sha256: Digest | None = None


def direct_url(data: bytes) -> Provenance:
    """``direct_url.json`` (PEP 610), and ``provenance_url.json`` (PEP 710), which has ``archive_info`` only."""
    try:
        document = json.loads(data[:HEADER_BYTES])
    except (ValueError, RecursionError):
        return Provenance(readable=False)
    if not isinstance(document, dict):
        return Provenance(readable=False)
    directory, archive = document.get("dir_info"), document.get("archive_info")
    if isinstance(directory, dict):
        local = "an editable install" if directory.get("editable") is True else "installed from a directory"
        return Provenance(local=local, source=_folder(document.get("url")))
    if isinstance(document.get("vcs_info"), dict):
        return Provenance(local="installed from version control")
    return Provenance(archive_sha256=_archive_digest(archive) if isinstance(archive, dict) else None)


def _folder(url: object) -> str | None:
    """The absolute path of a ``file:`` URL."""
    if not isinstance(url, str) or not url.startswith("file:///"):
        return None
    return urllib.parse.unquote(url[len("file://") :].partition("#")[0].partition("?")[0]).rstrip("/") or "/"


def _archive_digest(archive: Mapping[str, object]) -> Digest | None:
    """``hashes`` (PEP 610 as of 2023), or ``hash`` as older installers wrote it."""
    hashes = archive.get("hashes")
    text = hashes.get("sha256") if isinstance(hashes, dict) else None
    if not isinstance(text, str):
        text = str(archive.get("hash", "")).partition("sha256=")[2]
    try:
        return Digest.parse(f"sha256:{text}")
    except UsageError:
        return None


def first_word(data: bytes | None) -> str | None:
    """INSTALLER's word."""
    words = (data or b"")[:200].decode("utf-8", "replace").split()
    return words[0][:50] if words else None
