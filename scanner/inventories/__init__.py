"""Layers, directories and files -> Inventory: one way of taking it for each.

``tar`` (a layer), ``listed`` (a layer by its table of contents, with ``fetching`` for the files that are read) and
``disk`` (a tree or a file) find the entries, ``taking`` puts them down, ``keeping`` says which
files are read later and in what form. ``suspicion`` tells files that may hold Python code inside, ``openers`` looks
into them: ``zipped`` and ``tarred`` give inventories of archives, ``frozen`` says what a program is, within ``budget``.
"""

from __future__ import annotations

from typing import Final

from scanner.inventories.disk import take_directory, take_file
from scanner.inventories.listed import read_listed, take_listed
from scanner.inventories.stamping import KeepCode
from scanner.inventories.tar import take_inventory

PROGRAMS: Final = (b"PK\x03\x04", b"#!", b"\x7fELF")
"""How files start that are looked into as a whole."""

__all__ = ["PROGRAMS", "KeepCode", "read_listed", "take_directory", "take_file", "take_inventory", "take_listed"]
