"""A report -> signed, and attached to its image in the registry, as ``cgscan attest --push`` does it.

What is signed is kept before it is pushed: every attempt pushes the same bytes, and pushing the same again changes
nothing. A report that says what the one before it said of the same manifest is not attached again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from backports import zstd
from sqlalchemy import select

from scanner.config import Settings
from scanner.errors import CgscanError
from scanner.policy import judged
from scanner.report import Report, as_object
from scanner.results.database import Database
from scanner.results.keeping import report_of
from scanner.results.reading import document
from scanner.results.tables import outbox
from scanner.run import options_of, store_of
from scanner.service.child import may_pass
from scanner.service.telling.outbox import DONE, Item, Later, keep_document
from scanner.service.telling.posting import Postponed, Refused
from scanner.serving import Attaching
from scanner.signing import SigningKey
from scanner.statement import VERIFIER
from scanner.vouching import Attestation, Vouching, push

_MOST: Final = 256 * 1024 * 1024
_SAME: Final = "says what is attached already"
_OF_THE_SCAN: Final = ("scanned_at", "timing", "tool")


class Attacher:
    """Attaches reports. The key is read when it is made: a service with a key that is none does not start."""

    def __init__(self, attaching: Attaching, settings: Settings, environment: Mapping[str, str]) -> None:
        def password(_: Path) -> str | None:
            return environment.get(attaching.password_env)

        self._settings = settings
        self._source = options_of(settings, store_of(settings)).source
        self._vouching = Vouching(
            policy=settings.policy,
            key=SigningKey.read(attaching.key, password=password),
            predicates=attaching.predicates,
            verifier=attaching.verifier or VERIFIER,
        )

    def attach(self, database: Database, item: Item) -> str | None:
        """Attach it; a note where there was nothing to do. :class:`Refused` or :class:`Postponed`."""
        [about] = json.loads(item.about)
        report = self._report(database, item, about["report"])
        if self._is_attached(database, item, report):
            return _SAME
        attestations = self._made(database, item, report)
        try:
            push(attestations, report, options=self._source)
        except CgscanError as problem:
            if may_pass(problem):
                raise Postponed(Later(reason=str(problem), others=True)) from problem
            raise Refused(str(problem)) from problem
        return None

    def _report(self, database: Database, item: Item, report_id: int) -> Report:
        """The report under the name that the row has: the same digest may have been scanned under another."""
        found = document(database, report_id)
        if found is None:
            raise Refused("its report is not kept any more")
        report = judged(report_of(found), self._settings.policy)
        name = f"registry:{item.registry}/{item.repository}{f':{item.tag}' if item.tag else ''}"
        reference = name if item.tag else f"{name}@{report.target.digest}"
        return replace(report, target=replace(report.target, reference=reference))

    def _is_attached(self, database: Database, item: Item, report: Report) -> bool:
        same = [outbox.c[name] == getattr(item, name) for name in ("kind", "registry", "repository", "digest")]
        query = select(outbox.c.about).where(*same, outbox.c.state == DONE, outbox.c.reason.is_(None))
        with database.reading() as connection:
            last = connection.execute(query.order_by(outbox.c.number.desc()).limit(1)).scalar_one_or_none()
        if last is None:
            return False
        [about] = json.loads(last)
        before = document(database, about["report"])
        if before is None:
            return False
        return _said(judged(report_of(before), self._settings.policy)) == _said(report)

    def _made(self, database: Database, item: Item, report: Report) -> list[Attestation]:
        if item.document is None:
            made = self._vouching.attestations(report)
            kept = [{"type": one.predicate_type, "document": one.document.decode()} for one in made]
            data = zstd.compress(json.dumps(kept).encode())
            keep_document(database, item, data)
        else:
            data = item.document
        return [
            Attestation(
                predicate_type=one["type"],
                statement=b"",
                document=one["document"].encode(),
                created=report.scanned_at,
            )
            for one in json.loads(zstd.ZstdDecompressor().decompress(data, _MOST))
        ]


def _said(report: Report) -> dict[str, Any]:
    """What a report says of its image, but for when and under which name it was looked at."""
    said = {name: value for name, value in as_object(report).items() if name not in _OF_THE_SCAN}
    target = {name: value for name, value in said["target"].items() if name != "reference"}
    return {**said, "target": target}
