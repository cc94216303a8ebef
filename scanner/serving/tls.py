"""Certificate and key of the service: the key ``tls`` of the section ``serve``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scanner.sections import said_by_keys
from scanner.values import as_path

_KEYS: Final = dict.fromkeys(("certificate", "key", "client_ca"), as_path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files in PEM. With ``client_ca`` every client has to show a certificate of it."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.certificate, self.key, *((self.client_ca,) if self.client_ca else ()))

    def below(self, folder: Path) -> Tls:
        """The same, paths that are not absolute starting at a folder."""
        client_ca = folder / self.client_ca if self.client_ca else None
        return Tls(certificate=folder / self.certificate, key=folder / self.key, client_ca=client_ca)


def as_tls(value: object) -> Tls:
    """The key as a value; ValueError with every fault."""
    return Tls(**said_by_keys(value, _KEYS, needed=("certificate", "key")))
