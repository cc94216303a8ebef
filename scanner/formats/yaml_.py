"""``yaml``: the same content as ``json``."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from scanner.formats.document import as_one_document
from scanner.formats.text import Look
from scanner.report import Report


def render(reports: Sequence[Report], _look: Look) -> str:
    """One mapping for one report, a sequence for several; all ASCII.

    With ``allow_unicode`` PyYAML writes U+0085 as it is and reads a line break there.
    """
    return yaml.safe_dump(as_one_document(reports), sort_keys=False, width=120)
