"""What the service says while it runs: lines for people, or JSON, to standard error.

A line is an event and its facts. Facts are what the service made itself or has read as values: names, digests, reasons,
seconds; never headers, bodies, URLs with credentials or the environment.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any, Final, TextIO

from scanner.formats.text import escaped

_LOGGER: Final = logging.getLogger("cgscan")


def say(event: str, /, *, level: int = logging.INFO, **facts: object) -> None:
    """Log an event with its facts; None is left out."""
    _LOGGER.log(level, event, extra={"facts": {name: fact for name, fact in facts.items() if fact is not None}})


def set_up(stream: TextIO, *, as_json: bool) -> None:
    """Write to ``stream`` from now on. Libraries are heard from warnings on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Json() if as_json else _Plain())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _LOGGER.setLevel(logging.INFO)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = getattr(record, "facts", {})
        words = " ".join(f"{name}={_word(fact)}" for name, fact in facts.items())
        return escaped(f"{_when(record)} {record.levelname.lower()} {record.getMessage()} {words}".rstrip())


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = getattr(record, "facts", {})
        said = {"time": _when(record), "level": record.levelname.lower(), "event": record.getMessage(), **facts}
        return json.dumps(said, default=str)


def _word(fact: object) -> str:
    text = str(fact)
    return json.dumps(text) if not text or " " in text or '"' in text else text


def _when(record: logging.LogRecord) -> str:
    moment = time.gmtime(record.created)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{int(record.msecs):03d}Z"
