"""The indexes that a configuration file describes, and those that the command line names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from scanner.errors import UsageError
from scanner.index import IndexSpec, Role
from scanner.indexes.kinds import REMOTE, kind_of, simple_url
from scanner.indexes.repository import repository_url
from scanner.sections import check_keys, mapping
from scanner.values import (
    Reader,
    as_helper,
    as_kind,
    as_name,
    as_path,
    as_repository,
    as_role,
    as_switch,
    as_url,
    as_url_without_secrets,
    as_variable,
    meant,
    shown,
)

INDEX_KEYS: Final[Mapping[str, Reader]] = {
    "name": as_name,
    "role": as_role,
    "url": as_url_without_secrets,
    "path": as_path,
    "kind": as_kind,
    "built_only": as_switch,
    "username_env": as_variable,
    "password_env": as_variable,
    "token_env": as_variable,
    "keyring": as_switch,
    "helper": as_helper,
    "repository": as_repository,
}
"""What an entry may say."""
_WAYS: Final = ("token_env", "password_env", "helper", "keyring")
_NO_COMMAND: Final = (
    "this file was found in the working directory, and may be a stranger's; a command is run where the user's own "
    "file says so, or one that is named with --config or CGSCAN_CONFIG"
)


# -- of a file


def file_indexes(value: object, folder: Path, faults: list[str], *, may_run: bool) -> tuple[IndexSpec, ...]:
    """The section ``indexes``; paths in it start at ``folder``. What cannot be read is a fault and left out.

    ``may_run``: whether the file may name commands.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        faults.append("indexes: must be a list (- name: …)")
        return ()
    specs: list[IndexSpec] = []
    for place, entry in enumerate(value):
        own: list[str] = []
        parts = _index_parts(entry, f"indexes[{place}]", own)
        if parts.get("name") in [spec.name for spec in specs]:
            own.append(f"indexes[{place}].name: {parts['name']} is the name of an index above")
        if "helper" in parts and not may_run:
            own.append(f"indexes[{place}].helper: {_NO_COMMAND}")
        faults.extend(own)
        if not own:
            specs.append(_spec(parts, folder))
    return tuple(specs)


def _spec(parts: dict[str, Any], folder: Path) -> IndexSpec:
    """An entry without faults."""
    location = parts.pop("url", None) or str(folder / parts.pop("path"))
    if repository := parts.get("repository"):
        location = repository_url(location, parts.get("kind") or kind_of(location), repository)
    if "/" in (parts.get("helper") or [""])[0]:
        parts["helper"] = (str(folder / parts["helper"][0]), *parts["helper"][1:])
    return IndexSpec(location=location, **parts)


def _index_parts(value: object, where: str, faults: list[str]) -> dict[str, Any]:
    """The values of one entry that can be read."""
    entry = mapping(value, where, faults)
    check_keys(entry, INDEX_KEYS, where, faults)
    parts: dict[str, Any] = {}
    for key in [key for key in INDEX_KEYS if entry.get(key) is not None]:
        try:
            parts[key] = INDEX_KEYS[key](entry[key])
        except ValueError as problem:
            faults.append(f"{where}.{key}: {problem}")
    faults.extend(f"{where}.{key}: is missing" for key in ("name", "role") if entry.get(key) is None)
    if (entry.get("url") is None) == (entry.get("path") is None):
        faults.append(f"{where}: needs one of url and path")
    if parts.get("built_only") and parts.get("role") is Role.UPSTREAM:
        faults.append(f"{where}.built_only: is for the role chainguard")
    ways = [key for key in _WAYS if parts.get(key)]
    if len(ways) > 1:
        faults.append(f"{where}: says in several ways who asks: {', '.join(ways)}")
    faults.extend(f"{where}.{fault}" for fault in _faults_of_kind(parts))
    return parts


def _faults_of_kind(parts: Mapping[str, Any]) -> Iterator[str]:
    """Whether the URL can be one of an index of its kind."""
    kind, url = parts.get("kind"), parts.get("url")
    if url is None or url.startswith("file:"):
        if kind in REMOTE:
            yield f"kind: {kind} is for a url of https or http"
        remote = [key for key in ("keyring", "helper", "repository") if parts.get(key)]
        yield from (f"{key}: is for a url of https or http" for key in remote)
        return
    if kind not in (None, *REMOTE):
        yield f"kind: {kind} is for a path or a file:// URL"
        return
    try:
        if repository := parts.get("repository"):
            repository_url(url, kind or kind_of(url), repository)
        else:
            simple_url(url, kind or kind_of(url))
    except UsageError as problem:
        key = "repository" if parts.get("repository") else "url"
        yield f"{key}: {problem.message}{f'; {problem.hint}' if problem.hint else ''}"


# -- of the command line and the environment


def asked_indexes(given: Mapping[str, Any], known: Sequence[IndexSpec], faults: list[str]) -> tuple[IndexSpec, ...]:
    """Those of flags and environment, names resolved; the file's where none is given."""
    built_only = bool(given.get("built_only"))
    if built_only and not given.get("index"):
        faults.append("--built-only: says something of --index; in the file, write built_only: true at the index")
    if not given.get("index") and not given.get("upstream"):
        return tuple(known)
    specs: list[IndexSpec] = []
    for name, role in (("index", Role.CHAINGUARD), ("upstream", Role.UPSTREAM)):
        for text in given.get(name, ()):
            try:
                spec = _named_index(text, role, known)
            except ValueError as problem:
                faults.append(f"--{name}: {problem}")
            else:
                specs.append(replace(spec, built_only=True) if built_only and role is Role.CHAINGUARD else spec)
    return tuple(specs)


def _named_index(text: str, role: Role, known: Sequence[IndexSpec]) -> IndexSpec:
    """A name of the file's indexes first, else a URL, folder or file."""
    spec = next((spec for spec in known if spec.name == text), None)
    if spec is not None:
        if spec.role is not role:
            raise ValueError(f"the index {text} has the role {spec.role.value}, not {role.value}")
        return spec
    if "://" in text:
        return IndexSpec(location=as_url(text), role=role)
    path = as_path(text)
    if not is_there(path.exists):
        near = meant(text, [spec.name for spec in known if spec.name])
        raise ValueError(f"{shown(text)} is no URL, no path that exists and no index of the file{near}")
    return IndexSpec(location=str(path), role=role)


def is_there(question: Callable[[], bool]) -> bool:
    """False also for what may not be looked at, or whose name is too long to be one."""
    try:
        return question()
    except OSError:
        return False
