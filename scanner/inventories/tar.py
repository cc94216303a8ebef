"""A layer's uncompressed tar -> Inventory, in one pass."""

from __future__ import annotations

from typing import BinaryIO

from scanner.inventories.openers import open_suspect
from scanner.inventories.stamping import KeepCode
from scanner.inventories.taking import OnKept, Taking
from scanner.inventory import Inventory
from scanner.limits import Limits
from scanner.tarstream import TarStream


def take_inventory(
    tar: BinaryIO,
    *,
    limits: Limits,
    what: str = "layer",
    keep_code: KeepCode | None = None,
    on_kept: OnKept | None = None,
) -> Inventory:
    """Read a layer's uncompressed tar, once, to its end-of-archive blocks.

    Raises :class:`scanner.errors.UntrustedContent` for what makes the rest untrustworthy.
    """
    taking = Taking(limits=limits, what=what, keep_code=keep_code, opener=open_suspect, on_kept=on_kept)
    stream = TarStream(tar, what=what, limits=limits)
    for entry in stream:
        taking.take_entry(entry, stream.content)
    return taking.done()
