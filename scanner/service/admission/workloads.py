"""Objects of Kubernetes -> the images that they name: of pods, and of what holds a template of pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

TEMPLATES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("", "Pod"): ("spec",),
    ("", "PodTemplate"): ("template", "spec"),
    ("", "ReplicationController"): ("spec", "template", "spec"),
    ("apps", "DaemonSet"): ("spec", "template", "spec"),
    ("apps", "Deployment"): ("spec", "template", "spec"),
    ("apps", "ReplicaSet"): ("spec", "template", "spec"),
    ("apps", "StatefulSet"): ("spec", "template", "spec"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template", "spec"),
    ("batch", "Job"): ("spec", "template", "spec"),
}
"""By group and kind: where the pod's specification is."""
_CONTAINERS: Final = {
    "initContainers": "init container",
    "containers": "container",
    "ephemeralContainers": "ephemeral container",
}
_MOST: Final = 1000
"""Containers and volumes of one list."""


class BadShape(Exception):
    """An object that is not as Kubernetes has it; where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An image as an object names it, and what runs it: ``container web``."""

    where: str
    image: str


def placed(kind: tuple[str, str], value: object) -> tuple[Placed, ...]:
    """The images of an object; none for kinds that hold no pods. :class:`BadShape`."""
    steps = TEMPLATES.get(kind)
    if steps is None or value is None:
        return ()
    spec, path = value, "object"
    for step in steps:
        spec, path = _object(spec, path).get(step), f"{path}.{step}"
        if spec is None:  # a template may be missing
            return ()
    return tuple(_of_pod(_object(spec, path), path))


def _of_pod(spec: Mapping[str, Any], path: str) -> Iterator[Placed]:
    for key, called in _CONTAINERS.items():
        for container, at in _each(spec.get(key), f"{path}.{key}"):
            image = container.get("image")
            if image is not None and image != "":  # a template may leave it to others
                yield Placed(where=f"{called} {_text(container.get('name', ''), at)}", image=_text(image, at))
    for volume, at in _each(spec.get("volumes"), f"{path}.volumes"):
        source = volume.get("image")
        if source is not None and _object(source, at).get("reference"):
            yield Placed(where=f"volume {_text(volume.get('name', ''), at)}", image=_text(source["reference"], at))


def _each(value: object, path: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    if value is None:
        return
    if not isinstance(value, list) or len(value) > _MOST:
        raise BadShape(f"{path} is no list of at most {_MOST}")
    for at, one in enumerate(value):
        yield _object(one, f"{path}[{at}]"), f"{path}[{at}]"


def _object(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadShape(f"{path} is no object")
    return value


def _text(value: object, path: str) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise BadShape(f"a name or an image in {path} is no text of at most 1000 characters")
    return value
