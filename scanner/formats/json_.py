"""``json``: the report as ``report.schema.json`` has it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from scanner.formats.document import as_one_document
from scanner.formats.text import Look
from scanner.report import Report

_ACTING: Final = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""What a terminal acts on or shows in another order; stands in JSON's strings only, so its escape is the same value."""


def render(reports: Sequence[Report], _look: Look) -> str:
    """One object for one report, an array for several."""
    return written(as_one_document(reports))


def written(value: object) -> str:
    """A JSON value as text that no terminal acts on."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return _ACTING.sub(lambda character: f"\\u{ord(character[0]):04x}", text) + "\n"
