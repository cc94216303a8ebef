"""What every source is told besides the reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scanner import __version__
from scanner.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """How targets are opened: bounds, trust and credentials. The defaults are the safe ones."""

    limits: Limits = DEFAULT_LIMITS
    insecure_hosts: frozenset[str] = frozenset()
    """Hosts (with port, if any) to which plain http and unverified TLS were allowed by name."""
    ca_file: Path | None = None
    """More certificate authorities, in PEM."""
    authfile: Path | None = None
    """The only file in which registry credentials are looked up; None: the usual ones."""
    user_agent: str = f"cgscan/{__version__}"
