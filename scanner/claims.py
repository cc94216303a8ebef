"""What distributions claim and their bytes deny: planted SBOMs, generated scripts that do something else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from scanner.assessed import Assessed
from scanner.distribution import Finding, FindingKind, Installed, Origin
from scanner.environment import Environment
from scanner.lines import layer_of
from scanner.owners import Owners
from scanner.rootfs import RootFS
from scanner.scripts import EntryPoint, does, entry_points


def claims_denied(rootfs: RootFS, owners: Owners, live: Sequence[Assessed]) -> Iterator[Finding]:
    """Findings ``planted-sbom`` and ``modified-script``."""
    for one in live:
        if _is_planted(one):
            yield Finding(
                kind=FindingKind.PLANTED_SBOM,
                path=f"{one.found.location}/sboms",
                layer=layer_of(rootfs, one.found),
                detail=f"{one.found.name} says that Chainguard built it; its bytes say: {one.verdict.reason}",
            )
    yield from _scripts(rootfs, owners, live)


def _is_planted(one: Assessed) -> bool:
    """The marker on bytes that are another's; on unexplained ones only if Chainguard's index knows no better."""
    claims = isinstance(one.found, Installed) and one.found.claims_chainguard
    anothers = one.verdict.origin in (Origin.UPSTREAM, Origin.SOURCE, Origin.OS)
    nobodys = one.verdict.origin in (Origin.UNKNOWN, Origin.LOCAL) and one.chainguard_asked
    return claims and (anothers or nobodys) and one.vendor is None


def _scripts(rootfs: RootFS, owners: Owners, live: Sequence[Assessed]) -> Iterator[Finding]:
    """Generated scripts of explained distributions that do not do what their entry points say."""
    wanted, members = _entry_points(live)
    for path, entries in sorted(wanted.items()):
        file = rootfs.file(path)
        if file is None or path in members or owners.of(path) is not None:
            continue
        script = rootfs.read(path) or b""
        if not any(does(script, entry) for entry in entries):
            said = " or ".join(f"{entry.module}:{entry.object}" for entry in entries[:3])
            detail = f"does not do just what entry_points.txt says: run {said}"
            yield Finding(kind=FindingKind.MODIFIED_SCRIPT, path=path, layer=file.since, detail=detail)


def _entry_points(live: Sequence[Assessed]) -> tuple[dict[str, list[EntryPoint]], set[str]]:
    """Scripts by path, with what each may do, of distributions that a wheel explains; the paths of wheels' members."""
    wanted: dict[str, list[EntryPoint]] = defaultdict(list)
    members: set[str] = set()
    for one in live:
        fit = one.verdict.fit
        if not isinstance(one.found, Installed) or fit is None:
            continue
        members.update(row.path for row in fit.rows)
        folders = Environment.of(one.found.environment).script_folders
        for entry in entry_points(fit.candidate.contents.documents.get("entry_points.txt", b"")):
            for folder in folders:
                wanted[f"{folder}/{entry.name}"].append(entry)
    return wanted, members
