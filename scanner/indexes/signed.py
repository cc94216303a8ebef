"""What is signed about the files of an index behind a URL: where it is, and the document there.

A page may name the place (PEP 740: ``provenance`` in JSON, ``data-provenance`` in HTML). Chainguard's own host has it
below the index, whether the page says so or not::

    https://libraries.cgr.dev/python/integrity/<project>/<version>/<file>/provenance     PEP 740
    https://libraries.cgr.dev/python/integrity/<project>/<version>/<file>/bundle.json    Sigstore's bundle

Documented is ``python``; the other indexes of the host are asked in the same form, and say that there is none.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from scanner.attestation import Form
from scanner.indexes import chainguard
from scanner.indexes.asking import Asker, refusal
from scanner.indexes.once import Once

if TYPE_CHECKING:
    from scanner.index import IndexFile
    from scanner.limits import Limits

_NONE: Final = (404, 410)
_ACCEPT: Final = "application/vnd.pypi.integrity.v1+json, application/json;q=0.9"
_ENDS: Final = {Form.PROVENANCE: "provenance", Form.BUNDLE: "bundle.json"}


class SignedReader:
    """Gets documents for one index; the same one once in a scan. ``base`` is the index's simple URL."""

    def __init__(self, base: str, asker: Asker, *, limits: Limits) -> None:
        self._base = base
        self._asker = asker
        self._limits = limits
        self._documents: Once[str, bytes | None] = Once()

    def read(self, file: IndexFile, form: Form) -> bytes | None:
        """The document; None where there is no place for it, or nothing there."""
        url = self._place(file, form)
        return None if url is None else self._documents(url, lambda: self._ask(url))

    def _place(self, file: IndexFile, form: Form) -> str | None:
        if form is Form.PROVENANCE and file.provenance is not None:
            return file.provenance
        if file.wheel is None or not chainguard.is_chainguard(self._base) or not self._is_simple:
            return None
        parts = (file.wheel.project, str(file.wheel.version), file.filename, _ENDS[form])
        return "/".join([self._base.removesuffix("simple/") + "integrity", *map(quote, parts)])

    @property
    def _is_simple(self) -> bool:
        return urlsplit(self._base).path.endswith("/simple/")

    def _ask(self, url: str) -> bytes | None:
        answer = self._asker.get(url, headers={"Accept": _ACCEPT}, most=self._limits.attestation)
        if answer.status in _NONE:
            return None
        if answer.status != 200:
            raise refusal(answer.status, io.BytesIO(answer.body), url=url)
        return answer.body
