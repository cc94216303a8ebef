"""Templates, style and script -> an answer.

Every page has the same policy: nothing from elsewhere, no inline style or script, in nobody's frame. Style and script
are files whose names hold their digest, so that browsers may keep them for good.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from typing import Final

import jinja2
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from scanner.formats.html import environment, part
from scanner.formats.text import many, shown
from scanner.service.pages import drawing, links

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers would not say where a form was sent from
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every page."""
PLACES: Final = (("/", "Overview"), ("/images", "Images"), ("/distributions", "Distributions"), ("/queue", "Queue"))
_ENDS: Final = re.compile(r"(?<=[/:@])")
_KINDS: Final = {"css": "text/css", "js": "text/javascript"}


def page(template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """A template as an answer. Every page has a ``title``; ``here`` is which of :data:`PLACES` it belongs to."""
    known = {"places": PLACES, "here": None, "visitor": None, "style": _url("css"), "script": _url("js")}
    text = _environment().get_template(f"pages/{template}").render({**known, **values})
    return HTMLResponse(text + "\n", status_code=status, headers=dict(HEADERS))


def file(name: str) -> Response | None:
    """The style sheet or the script; of another version's name, what this version has, to be kept by nobody."""
    stem, _, kind = name.rpartition(".")
    if kind not in _KINDS or not stem.startswith("cgscan-"):
        return None
    kept = "public, max-age=31536000, immutable" if name == _name(kind) else "no-store"
    headers = {**HEADERS, "Cache-Control": kept}
    return Response(_text(kind), media_type=_KINDS[kind], headers=headers)


def _url(kind: str) -> Markup:
    return links.to(f"/static/{_name(kind)}")


def _name(kind: str) -> str:
    return f"cgscan-{hashlib.sha256(_text(kind).encode()).hexdigest()[:16]}.{kind}"


@lru_cache(len(_KINDS))
def _text(kind: str) -> str:
    """The report's, and what only these pages need."""
    if kind == "js":
        return str(part("script.js"))
    own = resources.files("scanner.service.pages").joinpath("templates", "pages.css").read_text("utf-8")
    return f"{part('style.css')}\n{own}"


@lru_cache(1)
def _environment() -> jinja2.Environment:
    templates = environment(jinja2.PrefixLoader({"pages": jinja2.PackageLoader("scanner.service.pages")}))
    templates.globals.update(links=links, covered=drawing.covered, by_origin=drawing.by_origin, many=many)
    templates.filters.update(when=_when, percent=_percent, image_name=image_name, counted=_counted, broken=_broken)
    return templates


# -- words


def image_name(row: Mapping[str, object]) -> str:
    """A name as a person writes it; of one that was named by its digest, the digest's start."""
    name = f"{row['registry']}/{row['repository']}"
    if row["tag"]:
        return f"{name}:{row['tag']}"
    digest = row.get("digest")
    return f"{name}@{str(digest)[:19]}…" if digest else name


def _broken(name: str) -> Markup:
    """A name that may be broken where its parts end."""
    return Markup("<wbr>").join(_ENDS.split(shown(name)))


def _when(seconds: float) -> Markup:
    """A time, by UTC."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%Y-%m-%d %H:%M}")


def _percent(coverage: float | None) -> str:
    return "none" if coverage is None else f"{coverage:g} %"


def _counted(number: int) -> str:
    return f"{number:,}"
