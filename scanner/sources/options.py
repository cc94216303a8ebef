"""What every source is told besides the reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scanner.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """How targets are opened: bounds, trust and credentials. The defaults are the safe ones."""

    limits: Limits = DEFAULT_LIMITS
    plain_http: frozenset[str] = frozenset()
    """Hosts (with port, if any) that were allowed by name to be spoken to without TLS; loopback always is."""
    offline: bool = False
    """Ask no registry. Daemons are on this machine and are asked."""
    ca_file: Path | None = None
    """More certificate authorities, in PEM."""
    authfile: Path | None = None
    """The only file in which registry credentials are looked up; None: the usual ones."""
