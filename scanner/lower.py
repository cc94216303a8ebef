"""What lower layers still carry though it is hidden (``--scope all-layers``).

Every distribution that was there when some lower layer was on top, and is not what the whole image shows: removed,
replaced, its metadata overwritten. It is judged in the tree of the layers up to the one where most of its files were
there, by the same rules against the same indexes.

A tree is looked at only where the next layer hides something that may be a distribution's. The trees are one tree
that grows, so that a hundred layers take no more memory than one; it grows twice, because only the whole image says
what is hidden, and nothing but what is hidden is worth a question to an index.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from scanner.assess import Examined, examine
from scanner.assessed import Terms
from scanner.distribution import Distribution, Finding, Installed
from scanner.errors import LimitExceeded
from scanner.finders import find
from scanner.finders.installed import Memory
from scanner.hiding import Hiding
from scanner.inventory import Inventory
from scanner.limits import Limits
from scanner.placement import MADE_BY_INSTALLERS
from scanner.rootfs import Chain, RootFS

_Place: TypeAlias = tuple[Hashable, str]
Identity: TypeAlias = tuple[_Place, frozenset[tuple[str, bytes]]]
"""Kind and location of a distribution, and the digests of what its wheel brought of its metadata."""

_ROWS_COUNTED: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """Where a hidden distribution is judged: in the tree up to ``layer``. ``until`` is the layer that hides it."""

    layer: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerTree:
    """The hidden distributions of one lower tree, judged. ``rootfs`` is good until the next tree is asked for."""

    rootfs: RootFS
    examined: Examined


def hidden_in(
    inventories: Sequence[Inventory], top: Sequence[Distribution], limits: Limits
) -> Mapping[Identity, Hidden]:
    """The distributions of lower layers that ``top``, the whole image's, does not have.

    Raises :class:`scanner.errors.LimitExceeded` where the layers hide more than ``hidden_entries`` in all.
    """
    survey = _Survey(inventories, limits)
    seen = survey.seen()
    shown: dict[_Place, list[Identity]] = defaultdict(list)
    for which in (*map(identity, top), *seen):
        shown[which[0]].append(which)
    known = set(map(identity, top))
    for which in seen:
        survey.spend(len(shown[which[0]]))
    return {
        which: place
        for which, place in seen.items()
        if not any(_is_more(other, which) for other in shown[which[0]]) and which not in known
    }


def _is_more(other: Identity, which: Identity) -> bool:
    """Whether another one of that place has the same metadata and some more: that one was complete."""
    return other[0] == which[0] and other[1] > which[1]


def lower_trees(
    inventories: Sequence[Inventory], hidden: Mapping[Identity, Hidden], terms: Terms
) -> Iterator[LowerTree]:
    """The hidden distributions with their verdicts and lines, tree by tree, the lowest first."""
    wanted: dict[int, dict[Identity, Hidden]] = defaultdict(dict)
    for which, place in hidden.items():
        wanted[place.layer][which] = place
    chain, memory = Chain(inventories, limits=terms.limits), Memory()
    terms = replace(terms, findings=False, look_again=lambda _: {})  # notes are not worth reading layers again
    for layer in sorted(wanted):
        rootfs, memory = chain.up_to(layer), Memory(memory)
        found = [one for one in find(rootfs, memory) if not isinstance(one, Finding)]
        needed = _with_context(found, wanted[layer])
        done = examine(rootfs, needed, terms)
        yield LowerTree(rootfs=rootfs, examined=_hidden_only(done, wanted[layer]))


def _hidden_only(done: Examined, wanted: Mapping[Identity, Hidden]) -> Examined:
    """The lines of the hidden ones, marked as such."""
    pairs = []
    for assessed, line in done.pairs:
        place = wanted.get(identity(assessed.found))
        if place is not None:
            reason = f"{line.reason}; hidden since layer {place.until}"
            pairs.append((assessed, replace(line, hidden=True, reason=reason)))
    return replace(done, pairs=tuple(pairs))


def _with_context(found: Sequence[Distribution], wanted: Mapping[Identity, Hidden]) -> list[Distribution]:
    """The wanted ones and what their verdicts need.

    That is: rivals for one name, who may have vendored them, and whose files may lie over theirs.
    """
    own = [one for one in found if identity(one) in wanted]
    installed = [one for one in own if isinstance(one, Installed)]
    keys = {(one.environment, one.name) for one in installed}
    above = {parent for one in installed for parent in _parents(one.environment)}
    files = {path for one in installed for path in _listed(one)}
    kept = {id(one) for one in own}

    def is_needed(one: Distribution) -> bool:
        if not isinstance(one, Installed):
            return False
        return (one.environment, one.name) in keys or one.environment in above or not files.isdisjoint(_listed(one))

    return [one for one in found if id(one) in kept or is_needed(one)]


def _listed(one: Installed) -> Iterator[str]:
    """The absolute paths of its RECORD, as far as they lie in the environment."""
    rows = one.record.rows if one.record else ()
    return (f"{one.environment}/{row.path}" for row in rows if not row.path.startswith("../"))


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:end]) for end in range(2, len(parts)))


# --- which distribution is which ---


def identity(one: Distribution) -> Identity:
    """What makes a distribution the same one in two trees: its place, and its wheel's own metadata.

    What installers write (``INSTALLER``, rows for scripts and byte code) is not in it: the same wheel installed
    again is the same distribution.
    """
    place = (one.kind, one.location)
    if not isinstance(one, Installed):
        return place, frozenset({("", one.sha256.raw)})
    parts = {
        (name, hashlib.sha256(data).digest())
        for name, data in one.documents.items()
        if name in ("METADATA", "PKG-INFO", "WHEEL") or name.startswith("sboms/")
    }
    if one.record is not None:
        digest = hashlib.sha256()
        for path, claimed in sorted(_claims(one)):
            digest.update(path.encode("utf-8", "surrogateescape") + b"\0" + claimed)
        parts.add(("RECORD", digest.digest()))
    return place, frozenset(parts)


def _claims(one: Installed) -> Iterator[tuple[str, bytes]]:
    """What RECORD says of the wheel's own files, as far as no installer writes them."""
    for row in one.record.rows if one.record else ():
        in_metadata = ".dist-info/" in row.path and row.path.rpartition("/")[2] in MADE_BY_INSTALLERS
        generated = row.path.startswith("../") or row.path.endswith(".pyc") or in_metadata
        if row.digest is not None and not generated:
            yield row.path, row.digest


# --- first pass: what was there ---


class _Survey:
    """What each tree of lower layers shows, where the layer above hides some of it."""

    def __init__(self, inventories: Sequence[Inventory], limits: Limits) -> None:
        self._inventories = inventories
        self._limits = limits
        self._spent = 0
        self._best: dict[Identity, int] = {}
        self._seen: dict[Identity, Hidden] = {}

    def seen(self) -> Mapping[Identity, Hidden]:
        """Every distribution of the trees that were looked at, and the tree in which most of its files were there."""
        chain, memory = Chain(self._inventories, limits=self._limits), Memory()
        entries = 0
        for layer, above in enumerate(self._inventories[1:]):
            entries += _size(self._inventories[layer])
            self.spend(len(above.entries))
            if not Hiding(chain.up_to(layer, archives=False), above).anything():
                continue
            self.spend(entries)
            rootfs, memory = chain.up_to(layer), Memory(memory)
            for one in find(rootfs, memory):
                if not isinstance(one, Finding):
                    self._take(one, rootfs, layer)
        return self._seen

    def _take(self, one: Distribution, rootfs: RootFS, layer: int) -> None:
        which, there = identity(one), self._files_there(one, rootfs)
        if there >= self._best.get(which, 0):
            self._best[which] = there
            self._seen[which] = Hidden(layer=layer, until=layer + 1)
        else:
            self._seen[which] = replace(self._seen[which], until=layer + 1)

    def _files_there(self, one: Distribution, rootfs: RootFS) -> int:
        """How many of the files that its RECORD lists are there."""
        if not isinstance(one, Installed) or one.record is None:
            return 0
        rows = one.record.rows[:_ROWS_COUNTED]
        self.spend(len(rows))
        folders: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            folder, _, name = row.path.rpartition("/")
            folders[folder].add(name)
        return sum(len(names & rootfs.children(f"{one.environment}/{at}").keys()) for at, names in folders.items())

    def spend(self, steps: int) -> None:
        """Count steps against the limit."""
        self._spent += steps
        if self._spent > self._limits.hidden_entries:
            raise LimitExceeded(
                f"the layers hide more than {self._limits.hidden_entries} entries of each other (limit hidden_entries)",
                hint="scan what runs, with --scope squashed, or raise the limit",
            )


def _size(layer: Inventory) -> int:
    """Its entries, with those of its archives."""
    return len(layer.entries) + sum(len(archive.entries) for archive in layer.archives.values())
