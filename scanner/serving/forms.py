"""What the keys ``url``, ``tls``, ``admission`` and ``harbor`` may be, as JSON Schema, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scanner.policy import ALLOWED
from scanner.serving.admission import EXEMPT, NAMESPACE, Mode, Say
from scanner.serving.harbor import SEVERITIES
from scanner.serving.section import URL
from scanner.values import HOST, NAME

Schema = dict[str, Any]


def _text(pattern: str) -> Schema:
    return {"type": "string", "pattern": f"^{pattern}$"}


def one_or_more(form: Schema) -> Schema:
    """One, or a list of them."""
    return {"oneOf": [form, {"type": "array", "items": form, "minItems": 1, "maxItems": 1000}]}


def _object(keys: Mapping[str, tuple[str, Schema]], **more: Any) -> Schema:
    """An object with these keys and no other."""
    properties = {key: {"description": words, **form} for key, (words, form) in keys.items()}
    return {"type": "object", "additionalProperties": False, **more, "properties": properties}


_FILE: Final = _text(r"[^~\u0000-\u0020][^\u0000-\u001f]*")
_SAY: Final[Schema] = {"enum": [one.value for one in Say]}
_RULE: Final[Mapping[str, tuple[str, Schema]]] = {
    "mode": ("How much what is said counts.", {"enum": [*(one.value for one in Mode), False]}),
    "unknown": ("What is said of an image without a result.", _SAY),
    "failing": ("What is said of an image that breaks the policy.", _SAY),
    "tags": ("What is said of an image that is named without its digest.", _SAY),
    "min_coverage": ("In place of the policy's.", {"type": "number", "minimum": 0, "maximum": 100}),
    "max_age_hours": (
        "How old a result from before the indexes changed may be.",
        {"type": "number", "minimum": 0, "maximum": 87_840},
    ),
    "exempt": ("Patterns of images that are let pass.", one_or_more(_text(EXEMPT))),
}
_NAMED: Final = {"names": ("Patterns of namespaces.", one_or_more(_text(NAMESPACE))), **_RULE}
URL_FORM: Final = _text(URL)
TLS_FORM: Final = _object(
    {
        "certificate": ("The certificate and those between it and its authority, in PEM.", _FILE),
        "key": ("Its key, in PEM.", _FILE),
        "client_ca": ("Whose certificates clients have to show.", _FILE),
    },
    required=["certificate", "key"],
)
ADMISSION_FORM: Final = _object(
    {
        "namespaces": (
            "Rules; the first that fits counts.",
            {"type": "array", "maxItems": 1000, "items": _object(_NAMED, required=["names"])},
        ),
        "default": ("The rule of all other namespaces.", _object(_RULE)),
        "resolve_seconds": ("How long tags may take in all.", {"type": "number", "minimum": 0.05, "maximum": 20}),
        "images": ("Images of one review that are looked at.", {"type": "integer", "minimum": 1, "maximum": 1000}),
        "anonymous": ("Reviews need no token.", {"type": "boolean"}),
    }
)
_HARBOR: Final = _object(
    {
        "name": ("Its address is /harbor/NAME.", _text(NAME)),
        "registry": ("Where images are fetched, whatever a request says.", _text(HOST)),
        "known_as": ("Other hosts by which a request may call the registry.", one_or_more(_text(HOST))),
        "severities": (
            "Of origins, integrities and kinds of findings, in place of the usual.",
            {
                "type": "object",
                "propertyNames": {"enum": list(ALLOWED)},
                "additionalProperties": {"enum": list(SEVERITIES)},
            },
        ),
    },
    required=["name", "registry"],
)
HARBOR_FORM: Final[Schema] = {"type": "array", "maxItems": 100, "items": _HARBOR}
