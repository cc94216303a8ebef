"""Anything else that can post JSON with the name of an image in it: ``reference`` of the source says where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scanner.webhooks.events import Ignored, Unacceptable
from scanner.webhooks.kinds.adapter import Delivery
from scanner.webhooks.naming import Hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """The parts of ``[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]``, taken apart and not checked."""

    host: str | None
    repository: str
    tag: str | None
    digest: str | None


def split_name(text: str) -> Name:
    """Take a name apart: what stands before the first slash is a host if it has a dot or colon, or is localhost."""
    name, _, digest = text.partition("@")
    head, slash, tail = name.partition("/")
    is_host = bool(slash) and ("." in head or ":" in head or head == "localhost")
    repository, _, tag = (tail if is_host else name).partition(":")
    return Name(host=head if is_host else None, repository=repository, tag=tag or None, digest=digest or None)


def read_events(delivery: Delivery) -> Iterator[Hint | Ignored]:
    """A hint for each name at the place that the source says."""
    path = delivery.source.reference or ""
    for text in _at(delivery.document, path.split("."), path):
        if not isinstance(text, str):
            raise Unacceptable(400, f"{path}: is no text")
        name = split_name(text)
        if name.repository:
            tag = name.tag or (None if name.digest else "latest")
            yield Hint(repository=name.repository, tag=tag, digest=name.digest, named=(name.host,))
        else:
            yield Ignored(reason=f"{path}: is empty")


def _at(value: object, keys: list[str], path: str) -> Iterator[object]:
    """What stands at a path; ``key[]`` is each member of the list there."""
    if not keys:
        yield value
        return
    key = keys[0].removesuffix("[]")
    if not isinstance(value, dict) or key not in value:
        raise Unacceptable(400, f"{path}: there is no such key in the body")
    inside = value[key]
    if keys[0].endswith("[]"):
        if not isinstance(inside, list):
            raise Unacceptable(400, f"{path}: {key} is no list")
        for one in inside:
            yield from _at(one, keys[1:], path)
    else:
        yield from _at(inside, keys[1:], path)
