"""What is signed for the wheels that explain something: asked for, checked, remembered.

(1) An index has a document for the wheel, or one was verified before. (2) Something in it is a signature that counts
over the sha256 that the wheel is said to have. (3) The wheel is read whole: its bytes have that sha256. Without the
last step a signature over the right bytes would vouch for whatever the index serves in their place by ranges.

Whatever goes wrong is a reason, never an error: the wheel stands on the next rung of its evidence, as if it was not
asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from scanner.attestation import NOT_INSTALLED, NOT_OFFERED, Attested, Form, NotAttested
from scanner.errors import IndexFailure
from scanner.index import Attesting, Role
from scanner.store import NoStore, Store

if TYPE_CHECKING:
    from scanner.digest import Digest
    from scanner.index import Index, IndexFile
    from scanner.signatures import Signatures
    from scanner.wheel import WheelContents

_FORMAT: Final = "attestation/1"


@dataclass(frozen=True, kw_only=True)
class Attestor:
    """Asks for attestations and has them checked. Threads may share it.

    ``required`` is whether the policy counts nothing else (``--min-evidence attested``), so that the reason is told.
    Where sigstore is not installed, nothing is asked but then. A document that was verified is remembered by the
    sha256 alone: whoever brings it, it is checked again.
    """

    signatures: Signatures
    required: bool = False
    store: Store = field(default_factory=NoStore)

    def check(self, index: Index, file: IndexFile, sha256: Digest) -> Attested | NotAttested:
        """Whether it is attested that a wheel with this sha256 was built by one of the signers."""
        if index.role is not Role.CHAINGUARD or file.wheel is None:
            return NOT_OFFERED
        if not self.required and not self.signatures.available:
            return NOT_INSTALLED
        key = f"{_FORMAT}\n{sha256}"
        known = self.store.get("attestation", key)
        verdict: Attested | NotAttested = NOT_OFFERED
        for document in _documents(index, file, known):
            if isinstance(document, NotAttested):
                verdict = document
                continue
            verdict = self.signatures.check(document, sha256=sha256, filename=file.filename)
            if isinstance(verdict, Attested):
                if document != known:
                    self.store.put("attestation", key, document)
                break
        return verdict


def _documents(index: Index, file: IndexFile, known: bytes | None) -> Iterator[bytes | NotAttested]:
    """What is remembered, else what the index has in one form after the other, or why it could not be asked."""
    if known is not None:
        yield known
    if not isinstance(index, Attesting):
        return
    for form in Form:
        try:
            document = index.attestation(file, form)
        except IndexFailure as problem:
            yield NotAttested(why=f"the attestation could not be had: {problem.message}")
            return
        if document is not None:
            yield document


class Attestations:
    """What came of asking about one distribution's wheels. ``attestor`` None: nobody asks."""

    def __init__(self, attestor: Attestor | None) -> None:
        self._attestor = attestor
        self._said: dict[tuple[str, str], Attested | NotAttested] = {}
        self._proved: dict[tuple[str, str], WheelContents] = {}

    @property
    def required(self) -> bool:
        """Whether nothing less counts."""
        return self._attestor is not None and self._attestor.required

    def ask(self, index: Index, file: IndexFile, contents: WheelContents) -> bool:
        """Whether a wheel is attested, if that was not known yet. It is read whole, unless ``contents`` are."""
        key, sha256 = (index.name, file.url), contents.sha256
        if self._attestor is None or sha256 is None or key in self._said:
            return False
        said = self._attestor.check(index, file, sha256)
        if isinstance(said, Attested):
            said = self._proof(index, file, contents) or said
        self._said[key] = said
        return isinstance(said, Attested)

    def _proof(self, index: Index, file: IndexFile, contents: WheelContents) -> NotAttested | None:
        """Read the wheel whole, unless it was; why it is not the one that is attested."""
        whole = contents
        if not contents.proved:
            try:
                whole = index.wheel(file, whole=True)
            except IndexFailure as problem:
                return NotAttested(why=f"its sha256 is attested, but not proved: {problem.message}")
        if not whole.proved or whole.sha256 != contents.sha256:
            return NotAttested(why="its sha256 is attested, and it has another one")
        self._proved[index.name, file.url] = whole
        return None

    def said_of(self, index: str, file: IndexFile) -> Attested | NotAttested | None:
        """What came of asking about a file of the index of that name; None where nobody asked."""
        return self._said.get((index, file.url))

    def holds(self, index: str, file: IndexFile) -> bool:
        """Whether it is attested."""
        return isinstance(self.said_of(index, file), Attested)

    def proved(self, index: str, file: IndexFile) -> WheelContents | None:
        """All of a wheel that is attested."""
        return self._proved.get((index, file.url))
