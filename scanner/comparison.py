"""One distribution against the indexes: its candidates in widening circles, until the answer stands."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from scanner.assessed import Assessed, Terms
from scanner.attestation import NOT_ATTESTED, NotAttested
from scanner.available import offered
from scanner.candidates import Gathered, Gathering, Question
from scanner.distribution import Installed, Integrity, Kind, Origin, WheelFile
from scanner.earlier import earlier_candidates, earlier_file, with_earlier
from scanner.environment import Environment
from scanner.hearsay import believed_local, remarked, with_word_of_cache
from scanner.index import Index, IndexFile, Role, Seen
from scanner.match import (
    Candidate,
    Circumstances,
    Explained,
    Explanation,
    Fit,
    Unexplained,
    built_here,
    explain,
    explaining,
    lay,
)
from scanner.placement import Bytes, InstalledSite, Site, UnpackedSite, WheelSite
from scanner.record import parse_record
from scanner.rootfs import RootFS
from scanner.verdict import Asked, Verdict, judge, unchecked
from scanner.wheel import WheelContents


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A distribution laid beside every wheel that may explain it, of whatever origin: what the verdict was made from.

    ``failures`` has one line for each question without an answer.
    """

    gathering: Gathering
    circumstances: Circumstances
    fits: tuple[Fit, ...]
    failures: tuple[str, ...]


class Comparing:
    """Asks the indexes for the distributions of one tree."""

    def __init__(self, rootfs: RootFS, terms: Terms) -> None:
        self._rootfs = rootfs
        self._terms = terms
        self._musl = any(name.startswith("ld-musl") for name in rootfs.children("/lib"))

    def judge(self, one: Installed | WheelFile, *, others: Collection[Bytes] = ()) -> Assessed:
        """The verdict on one; ``others`` are paths where other distributions' wheels are known to have their bytes."""
        gathering = self.gathering(one)
        listing = gathering.listing
        site = self._site(one, others)
        verdict = _by_digest(one, gathering) if isinstance(one, WheelFile) else None
        if verdict is None and site is not None:
            verdict = _Comparison(one, site, gathering, prove=self._terms.prove).verdict()
        if verdict is None and isinstance(one, WheelFile):
            verdict = _by_earlier_digest(one, gathering)
        if verdict is None:
            asked = Asked(failures=listing.failures, any_index=bool(self._terms.indexes))
            verdict = unchecked(asked) if listing.failures or not asked.any_index else _unknown_archive(one)
        if isinstance(one, Installed):
            verdict = remarked(verdict, one, gathering)
        verdict = _if_not_attested(verdict, gathering)
        verdict = with_word_of_cache(verdict, one)
        available = offered(gathering)
        gathering.remember()
        answered = bool(listing.files) if self._terms.indexes else None
        return Assessed(
            found=one,
            verdict=verdict,
            available=available,
            answered=answered,
            chainguard_asked=listing.asked(Role.CHAINGUARD),
        )

    def compared(self, one: Installed | WheelFile) -> Compared:
        """All that the verdict on one is made from. A scan does not hold it: it is as much as every wheel it read."""
        gathering = self.gathering(one)
        site = self._site(one, ())
        if site is None:
            failures, asked = gathering.listing.failures, gathering.listing.asked
            known = Circumstances(chainguard_asked=asked(Role.CHAINGUARD), upstream_asked=asked(Role.UPSTREAM))
            return Compared(gathering=gathering, circumstances=known, fits=(), failures=failures)
        return _Comparison(one, site, gathering, prove=self._terms.prove).compared()

    def gathering(self, one: Installed | WheelFile) -> Gathering:
        """What the indexes list for one; of all versions, where it has none."""
        return Gathering(self._question(one), self._terms.indexes, attestor=self._terms.attestor)

    def _question(self, one: Installed | WheelFile) -> Question:
        if isinstance(one, Installed):
            environment, tags = Environment.of(one.environment, self._rootfs), one.tags
        else:
            environment, tags = Environment.of(""), one.contents.tags if one.contents else frozenset()
        environment = environment.or_of_tags(tags)
        return Question(
            project=one.name,
            version=one.version,
            tags=tags,
            environment=environment,
            platform=self._terms.platform,
            musl=self._musl,
            also=one.by_folder if isinstance(one, Installed) else None,
        )

    def _site(self, one: Installed | WheelFile, others: Collection[Bytes]) -> Site | None:
        if isinstance(one, Installed):
            if one.kind is Kind.CACHED:
                return UnpackedSite(self._rootfs, one)
            return InstalledSite(self._rootfs, one, Environment.of(one.environment, self._rootfs), others)
        if one.contents is None:
            return None
        return WheelSite(one.location, one.contents, _since(self._rootfs, one))


def _since(rootfs: RootFS, one: WheelFile) -> int | None:
    file = rootfs.file(one.location)
    return file.since if file else None


class _Comparison:
    """One distribution against its candidates, in widening circles until the answer stands."""

    def __init__(self, one: Installed | WheelFile, site: Site, gathering: Gathering, *, prove: bool) -> None:
        self._site = site
        self._gathering = gathering
        self._prove = prove
        self._installed = one if isinstance(one, Installed) else None
        listing = gathering.listing
        self._circumstances = Circumstances(
            chainguard_asked=listing.asked(Role.CHAINGUARD),
            upstream_asked=listing.asked(Role.UPSTREAM),
            listed=_listed(one),
            archive=one.archive_sha256 if isinstance(one, Installed) else None,
            without_wheel=isinstance(one, Installed) and one.location.endswith((".egg-info", "/EGG-INFO")),
        )
        self._failures: list[str] = list(listing.failures)
        self._any_index = bool(listing.files or listing.failures)
        self._whole: frozenset[str] = frozenset()
        self._wide = False
        self._proof_failed = False
        self._fits: list[Fit] = []

    def verdict(self) -> Verdict:
        """The verdict, after as much reading as it takes."""
        # (1) the wheels of the installed tags
        explanation = self._explained(wide=False)
        # (2) not explained to the last file: all that fit the interpreter and platform
        if not (isinstance(explanation, Explained) and explanation.fit.complete):
            explanation = self._explained(wide=True)
        # (3) still not: what was listed earlier
        explanation = self._or_earlier(explanation)
        # (4) nobody is accused on the word of a RECORD: the wheels are read whole, and compared again
        while (unproved := self._to_prove(explanation)) and not self._proof_failed:
            explanation = self._or_earlier(self._explained(wide=True, whole=unproved))
        # (5) what is signed about the wheel that explains the files; it can make one Chainguard's
        if isinstance(explanation, Explained) and self._gathering.attest(explanation.fit.candidate):
            explanation = self._or_earlier(self._explained(wide=self._wide))
        # (6) what cannot have been installed here may still have been built here
        if isinstance(explanation, Unexplained) and not self._fits:
            explanation = self._built_here() or explanation
        asked = Asked(failures=self._failures, any_index=self._any_index)
        if self._installed is None:
            return judge(explanation, asked)
        # (7) a local install is its note's where the wheel is not what was installed
        explanation = believed_local(explanation, self._installed, self._circumstances.listed)
        return judge(explanation, asked, local=self._installed.local)

    def compared(self) -> Compared:
        """The fits of all wheels for the interpreter and platform, read as far as the verdict needs."""
        self.verdict()
        rounds = [self._gathering.gather(wide=wide, whole=self._whole) for wide in (False, True)]
        if not any(gathered.candidates for gathered in rounds):
            rounds.append(self._gathering.elsewhere())
        known = {(one.index, one.file.url): one for gathered in rounds for one in self._ordered(gathered)}
        failures = [failure for gathered in rounds for failure in gathered.failures]
        self._gathering.remember()
        return Compared(
            gathering=self._gathering,
            circumstances=self._circumstances,
            fits=(*(lay(candidate, self._site) for candidate in known.values()), *self._earlier),
            failures=tuple(dict.fromkeys([*self._gathering.listing.failures, *failures])),
        )

    def _built_here(self) -> Explanation | None:
        fits = [lay(candidate, self._site) for candidate in self._gathering.elsewhere().candidates]
        return built_here(fits, self._circumstances) if fits else None

    def _explained(self, *, wide: bool, whole: frozenset[str] = frozenset()) -> Explanation:
        self._whole |= whole
        self._wide = wide
        gathered: Gathered = self._gathering.gather(wide=wide, whole=self._whole)
        self._failures = [*self._gathering.listing.failures, *gathered.failures]
        self._proof_failed = bool(gathered.failures)
        self._fits = [lay(candidate, self._site) for candidate in self._ordered(gathered)]
        return explain(self._fits, self._circumstances)

    def _or_earlier(self, explanation: Explanation) -> Explanation:
        """What the listed wheels explain, or better a wheel that was listed once."""
        if (isinstance(explanation, Explained) and explanation.fit.complete) or not self._earlier:
            return explanation
        found = with_earlier(explanation, self._fits, self._earlier, self._circumstances)
        fit = found.fit if isinstance(found, Explained) else None
        if fit is None or fit.candidate.seen is None or self._may_say(fit):
            return found
        # it would have to be read whole for that, and is not there to be read: nobody is accused by another one
        name = f"{fit.candidate.index}: {fit.candidate.file.filename}"
        self._failures.append(f"{name} as it was listed earlier explains it best, and cannot be read whole any more")
        return Unexplained(code_of=None, from_source=False, why="")

    @cached_property
    def _earlier(self) -> list[Fit]:
        return [lay(candidate, self._site) for candidate in earlier_candidates(self._gathering)]

    def _may_say(self, fit: Fit) -> bool:
        """Whether enough of a wheel was read for what is to be said of it."""
        return fit.candidate.contents.proved or not (self._prove or fit.modified)

    def _ordered(self, gathered: Gathered) -> list[Candidate]:
        """The archive that the installer noted first: of equal fits of one origin it is the one that is shown."""
        noted = self._circumstances.archive
        if noted is None:
            return gathered.candidates
        return sorted(
            gathered.candidates, key=lambda one: (one.origin is Origin.CHAINGUARD, one.contents.sha256 != noted)
        )

    def _to_prove(self, explanation: Explanation) -> frozenset[str]:
        """The file names of matched wheels that must be read whole and were not yet."""
        fits = [fit for fit in explaining(explanation) if fit.candidate.seen is None]
        return frozenset(fit.candidate.file.filename for fit in fits if not self._may_say(fit))


def _listed(one: Installed | WheelFile) -> Mapping[str, bytes | None] | None:
    """What RECORD says, by path; its own dist-info is ``*.dist-info``, however this build spells it."""
    if isinstance(one, Installed):
        record, folder = one.record, one.location.rpartition("/")[2]
    elif one.contents is not None and "RECORD" in one.contents.documents:
        record, folder = parse_record(one.contents.documents["RECORD"]), one.contents.dist_info
    else:
        return None
    if record is None or not record.rows:
        return None
    own = folder + "/"
    return {
        f"*.dist-info/{row.path[len(own) :]}" if row.path.startswith(own) else row.path: row.digest
        for row in record.rows
    }


def _if_not_attested(verdict: Verdict, gathering: Gathering) -> Verdict:
    """With why Chainguard's wheel is not attested, where nothing less counts."""
    if verdict.fit is None or verdict.origin is not Origin.CHAINGUARD or not gathering.attestations.required:
        return verdict
    candidate = verdict.fit.candidate
    said = gathering.attestations.said_of(candidate.index, candidate.file)
    if not isinstance(said, NotAttested):
        return verdict
    return replace(verdict, reason=f"{verdict.reason}; {NOT_ATTESTED}{said.why}")


def _unknown_archive(one: Installed | WheelFile) -> Verdict:
    reason = "no index lists a wheel with its sha256, and it could not be opened"
    if isinstance(one, WheelFile) and one.source:
        reason = "a source archive, and no index lists its sha256"
    return Verdict(origin=Origin.UNKNOWN, integrity=Integrity.NONE, reason=reason)


def _by_digest(one: WheelFile, gathering: Gathering) -> Verdict | None:
    """A wheel file whose sha256 an index lists."""
    for role in (Role.UPSTREAM, Role.CHAINGUARD):
        for index, files in gathering.listing.files:
            for file in files if index.role is role else ():
                if file.sha256 == one.sha256:
                    gathering.note(index, file)
                    return _listed_wheel(one, index, file, gathering)
    return None


def _by_earlier_digest(one: WheelFile, gathering: Gathering) -> Verdict | None:
    """A wheel file whose sha256 an index listed once; its own members are that wheel's."""
    found = earlier_file(gathering, one.sha256)
    return _listed_wheel(one, found[0], found[1].file, gathering, found[1]) if found is not None else None


def _listed_wheel(
    one: WheelFile, index: Index, file: IndexFile, gathering: Gathering, seen: Seen | None = None
) -> Verdict:
    """The verdict on a wheel file whose bytes are those of a file that is listed, or was ``seen`` listed."""
    own = one.contents or WheelContents(
        filename=file.filename, sha256=one.sha256, proved=True, members={}, dist_info=""
    )
    contents = replace(own, sha256=one.sha256)
    if seen is None:
        origin, evidence = gathering.origin(index, file, contents)
    else:
        origin, evidence = gathering.origin_of_earlier(index, seen, contents)
    candidate = Candidate(index=index.name, file=file, contents=contents, origin=origin, evidence=evidence, seen=seen)
    if gathering.attest(candidate):
        origin, evidence = gathering.origin(index, file, contents)
        candidate = replace(candidate, origin=origin, evidence=evidence)
    fit = lay(candidate, WheelSite(one.location, contents, None))
    return judge(Explained(fit=fit), Asked(failures=gathering.listing.failures, any_index=True))
