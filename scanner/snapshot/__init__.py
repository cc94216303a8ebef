"""A snapshot: what indexes have answered, in one SQLite file (``.cgindex``) for a place without network.

indexes     name, role, kind, URL without credentials, whether it has built wheels only, when it was last pulled from
projects    what each index was asked, when, and what it said: the files, that there is none, or why it did not answer
files       what it listed, in its order; ``content`` is the sha256 of the bytes: the page's, else that of what was read
seen        wheels that were looked at, listed or not any more: when they were seen listed, and what held of them
wheels      what wheels hold, by sha256 and file name; of an index, or of any (0) where all bytes were read and proved
members     raw sha256 of every member -> the wheels that have it
==========  ==========================================================================================
=======
============  ==========================================================================================
indexes       name, role, kind, URL without credentials, whether it has built wheels only, when last pulled from
projects      what each index was asked, when, and what it said: the files, that there is none, or why it failed
files         what it listed, in its order; ``content`` is the sha256 of the bytes: the page's, else of what was read
seen          wheels that were looked at, listed or not any more: when they were seen listed, and what held of them
wheels        what wheels hold, by sha256 and file name; of an index, or of any (0) where all bytes were read and proved
members       raw sha256 of every member -> the wheels that have it
attestations  what is signed about a wheel, by its sha256 and form; whoever brought it, it is verified by who reads it
============  ==========================================================================================

A snapshot is a stranger's file. It is opened read-only, its schema must be this one to the letter (so that it has no
views, triggers or functions), values and work are bounded, and what is of another type is damage. It is written in
place, one transaction for each answer, with a rollback journal: after a kill the next writer goes on where it ended.
Source: https://www.sqlite.org/security.html.

In reading order::

    tables          the tables, the values in them, SQLite's errors as ours
    reading         a snapshot to read from
    writing         a snapshot to add to
"""

from scanner.snapshot.reading import Snapshot
from scanner.snapshot.tables import ANY, HELD_BY_AT_MOST, LINK, Answer, Source
from scanner.snapshot.writing import WritableSnapshot

__all__ = ["ANY", "HELD_BY_AT_MOST", "LINK", "Answer", "Snapshot", "Source", "WritableSnapshot"]
