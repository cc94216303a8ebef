"""A body -> a review, or why it is none.

Kubernetes ``admission.k8s.io/v1``; what is not looked at may be anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from scanner.decoding import json_value
from scanner.errors import UsageError
from scanner.service.admission.workloads import BadShape, Placed, placed

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"
_LOOKED_AT: Final = frozenset({"CREATE", "UPDATE"})
OPERATIONS: Final = _LOOKED_AT | {"DELETE", "CONNECT"}


class BadReview(Exception):
    """No AdmissionReview of version v1; why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What is asked: ``images`` are those that come in with it, none for what names no new ones."""

    uid: str
    namespace: str
    dry_run: bool
    images: tuple[Placed, ...]


def read(body: bytes) -> Review:
    """The review of a body; :class:`BadReview`."""
    try:
        value = json_value(body, "the body")
    except UsageError as problem:
        raise BadReview(problem.message) from problem
    if not isinstance(value, dict) or (value.get("apiVersion"), value.get("kind")) != (API_VERSION, KIND):
        raise BadReview(f"the body is no {KIND} of {API_VERSION}")
    request = value.get("request")
    if not isinstance(request, dict):
        raise BadReview("request is no object")
    try:
        return Review(
            uid=_uid(request),
            namespace=_word(request, "namespace"),
            dry_run=_switch(request, "dryRun"),
            images=_coming_in(request),
        )
    except BadShape as problem:
        raise BadReview(str(problem)) from problem


def _coming_in(request: Mapping[str, Any]) -> tuple[Placed, ...]:
    """Of a change only the images that were not there before."""
    operation = _word(request, "operation")
    if operation not in OPERATIONS:
        raise BadShape(f"operation is none of {', '.join(sorted(OPERATIONS))}")
    kind = request.get("kind")
    if not isinstance(kind, dict):
        raise BadShape("kind is no object")
    if operation not in _LOOKED_AT:
        return ()
    named = (_word(kind, "group"), _word(kind, "kind"))
    before = {one.image for one in placed(named, request.get("oldObject"))} if operation == "UPDATE" else set()
    return tuple(one for one in placed(named, request.get("object")) if one.image not in before)


def _uid(request: Mapping[str, Any]) -> str:
    uid = _word(request, "uid")
    if not uid or not uid.isascii() or not uid.isprintable() or " " in uid:
        raise BadShape("uid is no identifier")
    return uid


def _word(tree: Mapping[str, Any], key: str) -> str:
    value = tree.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > 253:
        raise BadShape(f"{key} is no text of at most 253 characters")
    return value


def _switch(tree: Mapping[str, Any], key: str) -> bool:
    value = tree.get(key)
    if value is not None and not isinstance(value, bool):
        raise BadShape(f"{key} is neither true nor false")
    return bool(value)
