"""What a VEX feed says of a distribution and of the remediated builds of its release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from packaging.utils import canonicalize_name

from scanner.distribution import Origin
from scanner.explanation import Account, Explanation, Vex
from scanner.vex import Statement, fixes_of


def with_vex(explanation: Explanation, feed: str, statements: Sequence[Statement]) -> Explanation:
    """The explanation with it. Of what the system or conda built a feed on builds of wheels says nothing."""
    accounts = tuple(_with_vex(account, feed, statements) for account in explanation.distributions)
    return replace(explanation, distributions=accounts)


def _with_vex(account: Account, feed: str, statements: Sequence[Statement]) -> Account:
    line = account.distribution
    if line.origin in (Origin.OS, Origin.CONDA):
        return account
    return replace(
        account, vex=Vex(feed=feed, statements=fixes_of(statements, canonicalize_name(line.name), line.version))
    )
