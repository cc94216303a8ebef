"""``cgscan purge`` from what is asked to what became of it.

asked       which copies are meant: those of a plan file, a manager, folders of caches
deletions   one after the other, at a bounded rate, each in the journal
whole       all of it: find, select, and delete if that is wanted
"""

from scanner.purging.asked import Asked, usual_stores, wanted_of
from scanner.purging.whole import purge

__all__ = ["Asked", "purge", "usual_stores", "wanted_of"]
