"""The text of a lock file -> its entries with their places; changed places -> the text. One module for each format.

::

    nodes          leaves, lists and tables with their places
    toml, json_    texts -> nodes
    items          what readers share: hashes, names and gaps out of nodes
    requirements   requirements.txt of pip, pip-tools and uv
    uv             uv.lock
    poetry         poetry.lock of Poetry 1 and 2
    pdm            pdm.lock
    pipenv         Pipfile.lock
    pylock         pylock.toml (PEP 751)
    reading        which of them it is
    writing        judged entries -> edits; edits -> the text
"""

from __future__ import annotations

from scanner.lockfiles.reading import read_lock
from scanner.lockfiles.writing import edited, edits

__all__ = ["edited", "edits", "read_lock"]
