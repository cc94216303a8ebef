"""Plan values for tests: one of each group, and names that nobody should meet raw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from packaging.utils import NormalizedName, canonicalize_name

from scanner.digest import Digest
from scanner.distribution import Integrity, Kind, Origin
from scanner.index import Evidence
from scanner.manager import Retrieved
from scanner.plan import Coverage, Item, Lack, ManagerStanding, Offer, Pin, Plan, Rebuild, TargetStanding, Whose
from scanner.stale import LocalCopy, ProxyCopy, Replacement
from tests.reports import HOSTILE, LIBRARIES, PYPI, SITE

SHA256 = Digest("sha256", "ab" * 32)
OTHER = Digest("sha256", "cd" * 32)


def a_replacement(filename: str = "urllib3-2.2.1-py3-none-any.whl", **changes: Any) -> Replacement:
    """A wheel of Chainguard's."""
    return replace(Replacement(index="libraries", filename=filename, sha256=OTHER), **changes)


def an_item(name: str = "urllib3", version: str | None = "2.2.1", **changes: Any) -> Item:
    """An installed distribution of PyPI's that Chainguard has in the same version."""
    item = Item(
        target=0,
        name=name,
        version=version,
        kind=Kind.INSTALLED,
        location=f"{SITE}/{name}-{version}.dist-info",
        environment=SITE,
        layer=2,
        origin=Origin.UPSTREAM,
        integrity=Integrity.INTACT,
        hidden=False,
        offer=Offer(same_version=a_replacement(f"{name}-{version}-py3-none-any.whl"), evidence=Evidence.NOT_UPSTREAM),
    )
    return replace(item, **changes)


def lacking(lack: Lack, why: str, **changes: Any) -> Offer:
    """Nothing of the same version."""
    return replace(Offer(lack=lack, why=why), **changes)


def a_rebuild(*items: Item, **changes: Any) -> Rebuild:
    """Layer 2 of an image."""
    step = Rebuild(
        target=0,
        layer=2,
        diff_id=f"sha256:{2:064x}",
        created_by="RUN /bin/sh -c pip install -r requirements.txt # buildkit",
        whose=Whose.UNKNOWN,
        items=items,
    )
    return replace(step, **changes)


def a_proxy_copy(name: str = "urllib3", **changes: Any) -> ProxyCopy:
    """What Artifactory's proxy of PyPI has."""
    filename = f"{name}-2.2.1-py3-none-any.whl"
    entry = Retrieved(
        project=canonicalize_name(name),
        version="2.2.1",
        filename=filename,
        repository="pypi-remote",
        path=f"ab/cd/{filename}",
        identity=f"pypi-remote-cache/ab/cd/{filename}",
        size=121_067,
        sha256=SHA256,
        downloaded="2026-02-27T09:30:00Z",
    )
    return replace(ProxyCopy(manager="pypi", entry=entry, replacement=a_replacement(filename)), **changes)


def a_local_copy(name: str = "urllib3", **changes: Any) -> LocalCopy:
    """What pip's cache has."""
    copy = LocalCopy(
        tool="pip",
        root="/root/.cache/pip",
        path=f"/root/.cache/pip/http-v2/a/b/c/d/e/abcde{'0' * 51}.body",
        project=NormalizedName(name),
        version="2.2.1",
        filename=f"{name}-2.2.1-py3-none-any.whl",
        size=121_067,
        sha256=SHA256,
        replacement=a_replacement(f"{name}-2.2.1-py3-none-any.whl"),
    )
    return replace(copy, **changes)


def a_plan(**changes: Any) -> Plan:
    """A plan for one image: nothing to do in it."""
    coverage = Coverage.of(applicable=4, verified=1, promised=2)
    target = TargetStanding(
        reference="registry.example.com/shop/billing:1.4",
        kind="image",
        digest=f"sha256:{'0123456789abcdef' * 4}",
        platform="linux/amd64",
        scanned_at="2026-03-01T12:00:00Z",
        coverage=coverage,
        aside=1,
    )
    plan = Plan(
        made_at="2026-03-01T12:05:00Z",
        minimum=Evidence.SBOM,
        targets=(target,),
        managers=(),
        indexes=(LIBRARIES, PYPI),
        rebuild=(),
        purge_in_manager=(),
        purge_locally=(),
        unpin=(),
        wait=(),
        coverage=coverage,
    )
    return replace(plan, **changes)


def a_full_plan() -> Plan:
    """Every group, every reason to wait, hostile names."""
    waiting = [
        an_item(f"waits-{number}", offer=lacking(lack, f"because of {lack.value}", later="3.0"))
        for number, lack in enumerate(Lack)
    ]
    base = a_rebuild(
        an_item("pip", "24.0", layer=0),
        layer=0,
        diff_id=f"sha256:{0:064x}",
        created_by="/bin/sh -c #(nop) ADD file in /",
        whose=Whose.BASE,
    )
    remediated = Offer(
        remediated="3.1.3+cgr.2", evidence=Evidence.PATH, lack=Lack.OTHER_VERSIONS, why="only remediated"
    )
    own = a_rebuild(
        an_item(), an_item("jinja2", "3.1.3", offer=remediated), an_item(HOSTILE, HOSTILE), created_by=f"RUN {HOSTILE}"
    )
    again = a_rebuild(
        an_item("flask", "3.0.2", layer=None), layer=None, diff_id=None, created_by=None, whose=Whose.UNKNOWN
    )
    manager = ManagerStanding(
        index="pypi",
        kind="artifactory",
        repository="pypi-remote",
        copies=2,
        replaced=1,
        chainguards=3,
        kept_back=1,
        unclear=0,
    )
    pin = Pin(
        file="requirements.txt",
        project=NormalizedName("urllib3"),
        version="2.2.1",
        line=7,
        accepted=(SHA256,),
        replacement=a_replacement(),
    )
    return a_plan(
        managers=(manager,),
        rebuild=(base, own, again),
        purge_in_manager=(a_proxy_copy(), a_proxy_copy("idna", replacement=None)),
        purge_locally=(
            a_local_copy(),
            a_local_copy(
                tool="uv", root="/root/.cache/uv", path="/root/.cache/uv/archive-v0/x", sha256=None, size=None
            ),
            a_local_copy("idna", replacement=None),
        ),
        unpin=(pin,),
        wait=tuple(waiting),
    )
