"""The JSON Schema of ``cgscan.yaml`` (2020-12), for editors: completion, and faults while one types.

Made of the settings themselves, so that it knows what the program knows. It is the stricter of the two where a value
can be written in several ways; what needs more than one place to be judged, the program says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from scanner.config import SERVE, SETTINGS, SIGNERS, WEBHOOKS, Setting
from scanner.entries import INDEX_KEYS
from scanner.formats import FORMATS
from scanner.index import Evidence, Role
from scanner.indexes.kinds import KINDS
from scanner.limits import DEFAULT_LIMITS, MIB
from scanner.policy import ALLOWED
from scanner.serving import RIGHTS, crawling, telling
from scanner.serving.forms import ADMISSION_FORM, HARBOR_FORM, TLS_FORM, URL_FORM, one_or_more
from scanner.values import (
    ATTESTATIONS,
    COUNTS,
    DOCKER_HELPER,
    HOST,
    LIMITS,
    MAY_BE_NONE,
    MOST_JOBS,
    MOST_WORDS,
    NAME,
    REPOSITORY,
    SCOPES,
    VARIABLE,
    Reader,
    as_attestations,
    as_coverage,
    as_evidence,
    as_fail_on,
    as_feed,
    as_helper,
    as_host,
    as_jobs,
    as_kind,
    as_name,
    as_output,
    as_path,
    as_platform,
    as_repository,
    as_role,
    as_scope,
    as_switch,
    as_text,
    as_url_without_secrets,
    as_variable,
)
from scanner.webhooks import OFFERS, WEBHOOK_KEYS, Auth, Kind
from scanner.webhooks.settings import HEADER, PATTERN, PLACE, WHERE
from scanner.webhooks.source import MOST_SECRETS

Schema = dict[str, Any]

_LINE: Final = r"[^\u0000-\u001f]*[^\u0000-\u0020][^\u0000-\u001f]*"
"""A text of one line that is not empty. What Unicode calls white space beyond a blank is left to the program."""
_FORMS: Final[Mapping[Reader, Schema]] = {
    as_text: {"type": "string", "pattern": f"^{_LINE}$"},
    as_path: {"type": "string", "pattern": f"^{_LINE}$"},
    as_switch: {"type": "boolean"},
    as_platform: {"type": "string", "pattern": "^(all|[A-Za-z0-9]+(/[A-Za-z0-9]+){1,2})$"},
    as_scope: {"enum": list(SCOPES)},
    as_output: {"type": "string", "pattern": rf"^({'|'.join(FORMATS)})(=-|=[^~\u0000-\u0020][^\u0000-\u001f]*)?$"},
    as_coverage: {"type": "number", "minimum": 0, "maximum": 100},
    as_attestations: {"enum": list(ATTESTATIONS)},
    as_feed: {
        "type": "string",
        "pattern": r"^(https?://[^@/\u0000-\u0020]+(/[^\u0000-\u0020]*)?|(?!.*://)[^~\u0000-\u0020][^\u0000-\u001f]*)$",
    },
    as_fail_on: {"enum": list(ALLOWED)},
    as_evidence: {"enum": [rung.value for rung in Evidence]},
    as_host: {"type": "string", "pattern": f"^{HOST}$"},
    as_jobs: {"type": "integer", "minimum": 1, "maximum": MOST_JOBS},
    as_name: {"type": "string", "pattern": f"^{NAME}$"},
    as_role: {"enum": [role.value for role in Role]},
    as_kind: {"enum": list(KINDS)},
    as_url_without_secrets: {
        "type": "string",
        "pattern": r"^(https?|file)://[^@/\u0000-\u0020]*(/[^\u0000-\u0020]*)?$",
    },
    as_variable: {"type": "string", "pattern": f"^{VARIABLE}$"},
    as_repository: {"type": "string", "pattern": f"^{REPOSITORY}$"},
    as_helper: {
        "oneOf": [
            {"type": "string", "pattern": f"^{DOCKER_HELPER}$"},
            {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": MOST_WORDS},
        ]
    },
}
_SAID: Final[Mapping[str, str]] = {
    "name": "What --index and --upstream call it, and the report.",
    "role": "Whose builds it is asked for: Chainguard's, or PyPI's (upstream).",
    "url": "The simple-API URL, or the manager's address beside a repository. Without user and password.",
    "path": "A folder in the layout of the simple API, or a snapshot; it starts at this file's folder.",
    "kind": "The product that serves it; told by the URL unless it is written.",
    "built_only": "It serves wheels that Chainguard built and nothing else.",
    "username_env": "The environment variable that holds the user's name.",
    "password_env": "The environment variable that holds the password.",
    "token_env": "The environment variable that holds a bearer token.",
    "keyring": "Ask the system's keyring (needs cgscan[keyring]).",
    "helper": "NAME of docker-credential-NAME, or a command as a list of words that prints JSON.",
    "repository": "The repository's name in the manager: NAME, or OWNER/NAME.",
}
_SECTIONS: Final[Mapping[str, str]] = {
    "indexes": "The package indexes; all are used unless --index or --upstream is given.",
    "policy": "What makes a scan fail.",
    "limits": "Bounds on hostile input.",
    "registries": "How image registries are asked.",
    SIGNERS: "Whose signatures count, in place of Chainguard's.",
    SERVE: "How 'cgscan serve' and 'cgscan worker' run.",
    WEBHOOKS: "Who may post to 'cgscan serve' that an image was pushed.",
}
_PLACE: Final[Schema] = {"type": "string", "pattern": f"^{PLACE}$"}
_HOST: Final[Schema] = {"type": "string", "pattern": f"^{HOST}$"}
_VARIABLE: Final[Schema] = {"type": "string", "pattern": f"^{VARIABLE}$"}
_WEBHOOK: Final[Mapping[str, tuple[str, Schema]]] = {
    "name": ("Its address is /webhooks/NAME.", {"type": "string", "pattern": f"^{NAME}$"}),
    "kind": ("Who posts.", {"enum": [kind.value for kind in Kind]}),
    "registry": ("HOST[:PORT][/PATH] where images are fetched, whatever a payload says.", _PLACE),
    "registries": (
        "The same for each repository of a manager.",
        {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": f"^{NAME}$"},
            "additionalProperties": _PLACE,
        },
    ),
    "known_as": ("Other hosts by which a payload may call the registry.", _HOST),
    "repositories": ("Patterns of repositories; all without them.", {"type": "string", "pattern": f"^{PATTERN}$"}),
    "untagged": ("Take pushes without a tag too.", {"type": "boolean"}),
    "auth": ("How a request shows who sends it.", {"enum": [auth.value for auth in Auth]}),
    "secret_env": ("The environment variables that hold the secret; several while it is changed.", _VARIABLE),
    "username_env": ("The environment variable that holds the user's name, for auth basic.", _VARIABLE),
    "header": ("The header, where it is another than the usual.", {"type": "string", "pattern": f"^{HEADER}$"}),
    "audience": ("The audience of Google's tokens.", {"type": "string", "pattern": f"^{_LINE}$"}),
    "email": ("The service account that pushes.", {"type": "string", "pattern": f"^{_LINE}$"}),
    "keys_url": (
        "Where Google's keys are.",
        {"type": "string", "pattern": r"^https://[^@/\u0000-\u0020]+/[^\u0000-\u0020]*$"},
    ),
    "origins": ("Who may ask with OPTIONS whether it may send.", _HOST),
    "reference": ("Where the name of the image stands: data.image.", {"type": "string", "pattern": f"^{WHERE}$"}),
    "body": (
        "The size of the largest request.",
        {
            "oneOf": [
                {"type": "integer", "minimum": 1, "maximum": 32 * MIB},
                {"type": "string", "pattern": "^[1-9][0-9]{0,4} ?(KiB|MiB)$"},
            ]
        },
    ),
}
_HOSTS: Final[Schema] = {"type": "string", "pattern": f"^{telling.HOSTS}$"}
_REPOSITORIES: Final[Schema] = {"type": "string", "pattern": f"^{PATTERN}$"}


_TOKEN: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"description": "Whose it is.", "type": "string", "pattern": f"^{NAME}$"},
        "rights": {
            "description": "What it may.",
            "type": "array",
            "minItems": 1,
            "items": {"enum": list(RIGHTS)},
            "default": ["read"],
        },
        "sha256": {"description": "The digest of the token.", "type": "string", "pattern": "^[0-9a-f]{64}$"},
        "token_env": {"description": "The environment variable that holds it.", **_VARIABLE},
    },
    "oneOf": [{"required": ["sha256"]}, {"required": ["token_env"]}],
}
_RECEIVER: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "kind"],
    "properties": {
        "name": {"description": "What it is called.", "type": "string", "pattern": f"^{NAME}$"},
        "kind": {"description": "What it is sent.", "enum": list(telling.KINDS)},
        "url": {
            "description": "Where it is told.",
            "type": "string",
            "pattern": r"^https?://[^@/?#\u0000-\u0020]+(/[^?#\u0000-\u0020]*)?$",
        },
        "url_env": {"description": "The environment variable that holds a URL that is a secret.", **_VARIABLE},
        "secret_env": {
            "description": "The environment variables that hold what messages are signed with.",
            "oneOf": [_VARIABLE, {"type": "array", "items": _VARIABLE, "minItems": 1, "maxItems": MOST_SECRETS}],
        },
        "events": {"description": "What it is told of.", **one_or_more({"enum": list(telling.EVENTS)})},
        "registries": {"description": "Patterns of registries.", **one_or_more(_HOSTS)},
        "repositories": {"description": "Patterns of repositories.", **one_or_more(_REPOSITORIES)},
        "most": {
            "description": "Items of a kind in one message.",
            "type": "integer",
            "minimum": 1,
            "maximum": telling.MOST_ITEMS,
        },
    },
    "oneOf": [
        {"properties": {"kind": {"const": "slack"}, "url": False, "secret_env": False}, "required": ["url_env"]},
        {
            "properties": {"kind": {"const": "webhook"}},
            "required": ["secret_env"],
            "oneOf": [{"required": ["url"]}, {"required": ["url_env"]}],
        },
    ],
}
_ATTACH: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["registries", "key"],
    "properties": {
        "registries": {"description": "Patterns of the registries where that is wanted.", **one_or_more(_HOSTS)},
        "key": {"description": "The file of the private key.", **_FORMS[as_path]},
        "password_env": {"description": "The environment variable that holds the key's password.", **_VARIABLE},
        "repositories": {"description": "Patterns of repositories.", **one_or_more(_REPOSITORIES)},
        "predicates": {"description": "What is attached.", **one_or_more({"enum": list(telling.PREDICATES)})},
        "verifier": {
            "description": "Who verified, as a URI.",
            "type": "string",
            "pattern": r"^[a-z][a-z0-9+.-]*:[!-~]+$",
        },
    },
}
_MANY: Final[Mapping[str, tuple[str, str]]] = {
    "repositories": ("Repositories by name, in place of the registry's catalog.", crawling.REPOSITORY),
    "include": ("Patterns of repositories.", PATTERN),
    "exclude": ("Patterns of repositories that are left out.", PATTERN),
    "tags": ("Globs of tags.", crawling.GLOB),
    "exclude_tags": ("Globs of tags that are left out.", crawling.GLOB),
}
_NUMBERED: Final[Mapping[str, tuple[str, int]]] = {
    "newest": ("How many of the numbered tags of a repository.", 10_000),
    "most_repositories": ("The most repositories of a walk.", 100_000),
    "most_tags": ("The most tags of a repository.", 100_000),
    "most_images": ("The most images of a walk.", 1_000_000),
}


_CRAWL: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["registry"],
    "properties": {
        "registry": {"description": "HOST or HOST:PORT.", "type": "string", "pattern": f"^{HOST}$"},
        **{
            key: {"description": words, **one_or_more({"type": "string", "pattern": f"^{pattern}$"})}
            for key, (words, pattern) in _MANY.items()
        },
        **{
            key: {"description": words, "type": "integer", "minimum": 1, "maximum": most}
            for key, (words, most) in _NUMBERED.items()
        },
        "every": {
            "description": "The time between walks.",
            "oneOf": [
                {"type": "number", "minimum": crawling.LEAST_SECONDS, "maximum": crawling.MOST_SECONDS},
                {"type": "string", "pattern": f"^{crawling.SPAN}$"},
            ],
        },
        "at": {"description": "The time of a daily walk, UTC.", "type": "string", "pattern": f"^{crawling.TIME}$"},
        "per_second": {"description": "Requests a second.", "type": "number", "minimum": 0.1, "maximum": 1000},
    },
    "not": {"required": ["every", "at"]},
}
_SERVE: Final[Mapping[str, tuple[str, Schema | None]]] = {
    "listen": (
        "HOST:PORT to listen at.",
        {"type": "string", "pattern": r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,4}$"},
    ),
    "folder": ("Where the SQLite files are; it starts at this file's folder.", _FORMS[as_path]),
    "database": ("A PostgreSQL in place of SQLite, without its password.", None),
    "queue": ("A Redis in place of SQLite, without its password.", None),
    "tokens": ("Who may use the API.", {"type": "array", "items": _TOKEN}),
    "registries": ("Which registries the API may have scanned; all without it.", {"type": "array", "items": _HOST}),
    "workers": ("Scans at once in one process.", {"type": "integer", "minimum": 1, "maximum": 64}),
    "attempts": ("How often a scan is tried.", {"type": "integer", "minimum": 1, "maximum": 20}),
    "lease_seconds": (
        "After such a silence a worker's job is another's.",
        {"type": "number", "minimum": 1, "maximum": 3600},
    ),
    "scan_seconds": ("The longest that a scan may take.", {"type": "number", "minimum": 1, "maximum": 86_400}),
    "scan_memory": ("The address space of a scan.", None),
    "most_waiting": ("Jobs that may wait.", {"type": "integer", "minimum": 1, "maximum": 10_000_000}),
    "body": ("The size of the largest request.", None),
    "fresh_hours": (
        "After so long an image is scanned anew also where no index has changed.",
        {"type": "number", "minimum": 0.001, "maximum": 8784},
    ),
    "index_minutes": (
        "The time between questions whether indexes have changed.",
        {"type": "number", "minimum": 0.01, "maximum": 10_080},
    ),
    "crawl": (
        "Which registries are walked through.",
        {"type": "array", "items": _CRAWL, "maxItems": crawling.MOST},
    ),
    "keep_days": (
        "How long reports that are not the newest are kept.",
        {"type": "number", "minimum": 1, "maximum": 36_600},
    ),
    "url": ("The address under which others reach the service, for links.", URL_FORM),
    "notify": (
        "Who is told what became of images.",
        {"type": "array", "items": _RECEIVER, "maxItems": telling.MOST_RECEIVERS},
    ),
    "attach": ("Where reports are attached to their images.", _ATTACH),
    "tls": ("Serve https.", TLS_FORM),
    "admission": ("What is asked of images before a deploy.", ADMISSION_FORM),
    "harbor": ("Harbors that use the service as a scanner.", HARBOR_FORM),
    "remembered": (
        "The size of what workers share of their scans, on PostgreSQL; 0 shares nothing.",
        {
            "oneOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": "^[1-9][0-9]{0,9} ?(KiB|MiB|GiB|TiB)$"},
            ]
        },
    ),
}
_LISTS: Final[Mapping[str, int]] = {"known_as": 1000, "repositories": 1000, "origins": 1000, "secret_env": MOST_SECRETS}


def schema(said: Mapping[str, str]) -> Schema:
    """The schema; ``said`` has what the settings mean, by :attr:`scanner.config.Setting.name`."""
    properties: Schema = {}
    for setting in SETTINGS:
        if setting.file and setting.file not in ("indexes", "limits"):
            section, _, key = setting.file.partition(".")
            place = properties if not key else _section(properties, section)["properties"]
            place[key or section] = _with(said.get(setting.name), _of_setting(setting))
    properties["indexes"] = {"description": _SECTIONS["indexes"], "type": "array", "items": _index()}
    properties[SIGNERS] = {"description": _SECTIONS[SIGNERS], "type": "array", "minItems": 1, "items": _signer()}
    properties[SERVE] = _object(dict(_serve()), description=_SECTIONS[SERVE])
    properties[WEBHOOKS] = {"description": _SECTIONS[WEBHOOKS], "type": "array", "items": _webhook()}
    properties["limits"] = _object(dict(_limits()), description=_SECTIONS["limits"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cgscan.yaml",
        **_object(dict(sorted(properties.items())), description="Settings of cgscan."),
    }


def _object(properties: Schema, **more: Any) -> Schema:
    return {**more, "type": "object", "additionalProperties": False, "properties": properties}


def _section(properties: Schema, name: str) -> Schema:
    made: Schema = properties.setdefault(name, _with(_SECTIONS.get(name), _object({})))
    return made


def _with(text: str | None, form: Schema) -> Schema:
    return {"description": " ".join(text.split()), **form} if text else form


def _of_setting(setting: Setting) -> Schema:
    form = _FORMS[setting.read]
    return {"oneOf": [form, {"type": "array", "items": form}]} if setting.many else form


def _index() -> Schema:
    """One entry: where it is, and at most one way to say who asks."""
    properties = {key: {"description": _SAID[key], **_FORMS[read]} for key, read in INDEX_KEYS.items()}
    ways = [{"required": [key]} for key in ("token_env", "password_env", "helper")]
    asked = {"required": ["keyring"], "properties": {"keyring": {"const": True}}}
    pairs = [{"allOf": [one, other]} for at, one in enumerate([*ways, asked]) for other in [*ways, asked][at + 1 :]]
    remote = dict.fromkeys(("keyring", "helper", "repository"), False)
    return {
        **_object(properties, required=["name", "role"]),
        "oneOf": [{"required": ["url"]}, {"required": ["path"], "properties": remote}],
        "not": {"anyOf": [*pairs, _built_upstream()]},
    }


def _signer() -> Schema:
    """One whose signatures count; whether a pattern is none or everybody's is left to the program."""
    text = {"type": "string", "pattern": r"^[^\u0000-\u001f\u007f]+$"}
    said = {"issuer": "The issuer, to the letter.", "identity": "The identity, to the letter."}
    said["pattern"] = "A regular expression that the whole identity must match."
    properties = {key: {"description": words, **text} for key, words in said.items()}
    return {
        **_object(properties, required=["issuer"]),
        "oneOf": [{"required": ["identity"]}, {"required": ["pattern"]}],
    }


def _webhook() -> Schema:
    """One source: what needs its kind to be judged is left to the program, but for the ways to show who sends."""
    properties: Schema = {}
    for key in WEBHOOK_KEYS:
        words, form = _WEBHOOK[key]
        if key in _LISTS:
            form = {"oneOf": [form, {"type": "array", "items": form, "minItems": 1, "maxItems": _LISTS[key]}]}
        properties[key] = {"description": words, **form}
    ways = [
        {
            "if": {"properties": {"kind": {"const": kind.value}}},
            "then": {"properties": {"auth": {"enum": [way.value for way in (*offer.ways, Auth.NONE)]}}},
        }
        for kind, offer in OFFERS.items()
    ]
    return {**_object(properties, required=["name", "kind"]), "allOf": ways}


def _serve() -> Iterator[tuple[str, Schema]]:
    """The service's section."""
    url = {"type": "string", "pattern": r"^[a-z+]+://[^:@/\u0000-\u0020]*(:[0-9]+)?(/[^\u0000-\u0020]*)?$"}
    size = {
        "oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[1-9][0-9]{0,9} ?(KiB|MiB|GiB)$"}]
    }
    for key, (words, form) in _SERVE.items():
        yield key, {"description": words, **(form or (url if key in ("database", "queue") else size))}


def _built_upstream() -> Schema:
    said = {"role": {"const": Role.UPSTREAM.value}, "built_only": {"const": True}}
    return {"required": list(said), "properties": said}


def _limits() -> Iterator[tuple[str, Schema]]:
    for name in LIMITS:
        count: Schema = {"type": "integer", "minimum": 0 if name in MAY_BE_NONE else 1}
        default = {"default": getattr(DEFAULT_LIMITS, name)}
        if name.endswith("_seconds"):
            yield name, {"type": "number", "exclusiveMinimum": 0, **default}
        elif name in COUNTS:
            yield name, {**count, **default}
        else:
            sized = {"type": "string", "pattern": "^[1-9][0-9]{0,12} ?(KiB|MiB|GiB|TiB)$"}
            yield name, {"oneOf": [count, sized], **default}
