"""One package of a conda environment, ``conda-meta/NAME-VERSION-BUILD.json``, or of its cache, ``info/paths.json``.

Source: conda's documentation, "Package specification" (``paths.json``), and the draft CEPs on environments:
``name``, ``files`` (paths below the prefix), ``paths_data.paths`` with ``_path``, ``path_type``, ``sha256`` (as packed)
and ``sha256_in_prefix`` (after the prefix was written into it, which is what is compared). In the cache
(``pkgs/NAME-VERSION-BUILD``) the rows stand by themselves, and the files are as packed.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from scanner.limits import Limits
from scanner.owner import Listed, OwnedFile, Package, owned_file, that_matter

_NO_JSON: Final = "is no JSON that conda writes"
_NO_CONTENT: Final = ("softlink", "directory")


def read_condameta(data: bytes, *, limits: Limits) -> Listed:
    """The package with paths relative to its prefix; none where the document is no package's."""
    document = _parsed(data)
    if document is None:
        return Listed(fault=_NO_JSON)
    name = document.get("name")
    if not isinstance(name, str):
        return Listed()
    table = document.get("paths_data")
    rows = table.get("paths") if isinstance(table, dict) else None
    return _listed(package_title(name), {**_named(document.get("files")), **_rows(rows, _in_prefix)}, limits)


def read_condapaths(data: bytes, *, limits: Limits) -> Listed:
    """The files of a package in the cache, as packed; whose they are is the folder's name (:func:`package_title`)."""
    document = _parsed(data)
    return Listed(fault=_NO_JSON) if document is None else _listed("", _rows(document.get("paths"), _as_packed), limits)


def package_title(name: str) -> str:
    """``conda:NAME``, without what no terminal should see."""
    return "conda:" + "".join(letter for letter in name[:200] if letter.isprintable())


def _parsed(data: bytes) -> Mapping[str, Any] | None:
    """The document, empty where it is of another kind; None for what is no JSON."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else {}


def _listed(title: str, found: Mapping[str, OwnedFile], limits: Limits) -> Listed:
    if len(found) > limits.entries:
        return Listed(fault=f"lists more than {limits.entries} files (limit entries)")
    usable = (file for path, file in found.items() if len(path) <= limits.path and ".." not in path.split("/"))
    files = that_matter(usable)
    return Listed(packages=(Package(title=title, files=files),) if files else ())


def _named(paths: object) -> Mapping[str, OwnedFile]:
    return {path: OwnedFile(path) for path in _strings(paths)}


def _rows(rows: object, digest_of: Callable[[Mapping[str, Any]], object]) -> Mapping[str, OwnedFile]:
    """By path: the files with their digests."""
    found = {}
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and isinstance(row.get("_path"), str):
            found[row["_path"]] = _row(row, digest_of(row))
    return found


def _in_prefix(row: Mapping[str, Any]) -> object:
    digest = row.get("sha256_in_prefix")
    return row.get("sha256") if digest is None and "prefix_placeholder" not in row else digest


def _as_packed(row: Mapping[str, Any]) -> object:
    return row.get("sha256")


def _row(row: Mapping[str, Any], digest: object) -> OwnedFile:
    path = row["_path"]
    if not isinstance(digest, str) or row.get("path_type") in _NO_CONTENT:
        return OwnedFile(path)
    try:
        return owned_file(path, "sha256", binascii.unhexlify(digest))
    except ValueError:
        return OwnedFile(path)


def _strings(value: object) -> Iterator[str]:
    for one in value if isinstance(value, list) else ():
        if isinstance(one, str):
            yield one
