"""A built tier is claimed only by the documented sequences, in full, where they belong."""

from __future__ import annotations

import pytest

from scanner.index import Tier
from scanner.indexes.tier import Tiers

DIRECT = "https://libraries.cgr.dev/python/simple/"
ARTIFACTORY = "https://art.example/artifactory/api/pypi/python/simple/"
NEXUS = "https://nexus.example/repository/python/simple/"
FLASK = "flask-3.0.2-py3-none-any.whl"


@pytest.mark.parametrize(
    ("url", "base", "tier"),
    [
        (f"https://libraries.cgr.dev/python/simple/flask/3.0.2/{FLASK}", DIRECT, Tier.BUILT),
        (f"https://LIBRARIES.cgr.dev/python/simple/flask/3.0.2/{FLASK}", DIRECT, None),
        (f"https://libraries.cgr.dev/files/0123456789abcdef/fedcba9876543210/flask/{FLASK}", DIRECT, Tier.BUILT),
        (
            "https://libraries.cgr.dev/python-remediated/simple/celery/5.2.1+cgr.1/celery-5.2.1+cgr.1-py3-none-any.whl",
            "https://libraries.cgr.dev/python-remediated/simple/",
            Tier.BUILT,
        ),
        (
            "https://libraries.cgr.dev/python-remediated/simple/celery/5.2.1%2Bcgr.1/celery-5.2.1%2Bcgr.1-py3-none-any.whl",
            DIRECT,
            Tier.BUILT,
        ),
        (
            "https://libraries.cgr.dev/cu128/simple/torch/2.7.0/torch-2.7.0-cp312-cp312-manylinux_2_28_x86_64.whl",
            "https://libraries.cgr.dev/cu128/simple/",
            Tier.BUILT,
        ),
        (f"https://libraries.cgr.dev/python-upstream/simple/flask/3.0.2/{FLASK}", DIRECT, Tier.FALLBACK),
        (f"https://libraries.cgr.dev/python%2Dupstream/simple/flask/3.0.2/{FLASK}", DIRECT, Tier.FALLBACK),
        # wrong project, version or length; another scheme or host
        (f"https://libraries.cgr.dev/python/simple/django/3.0.2/{FLASK}", DIRECT, None),
        (f"https://libraries.cgr.dev/python/simple/flask/3.0.3/{FLASK}", DIRECT, None),
        (f"https://libraries.cgr.dev/python/simple/flask/{FLASK}", DIRECT, None),
        (f"https://libraries.cgr.dev/x/python/simple/flask/3.0.2/{FLASK}", DIRECT, None),
        (f"https://libraries.cgr.dev/files/0123/fedcba9876543210/flask/{FLASK}", DIRECT, None),
        (f"https://libraries.cgr.dev/cu12/simple/flask/3.0.2/{FLASK}", DIRECT, None),
        (f"http://libraries.cgr.dev/python/simple/flask/3.0.2/{FLASK}", DIRECT, None),
        (f"https://libraries.cgr.dev.example/python/simple/flask/3.0.2/{FLASK}", DIRECT, None),
        (f"https://libraries.cgr.dev/python/simple/flask/3.0.2/{FLASK}", ARTIFACTORY, None),
        # Artifactory, set up with the host's root as the remote's URL
        (f"https://art.example/artifactory/api/pypi/python/python/simple/flask/3.0.2/{FLASK}", ARTIFACTORY, Tier.BUILT),
        (
            f"https://art.example/artifactory/api/pypi/python/packages/python/simple/flask/3.0.2/{FLASK}",
            ARTIFACTORY,
            Tier.BUILT,
        ),
        (
            f"https://art.example/artifactory/api/pypi/python/packages/python-upstream/simple/flask/3.0.2/{FLASK}",
            ARTIFACTORY,
            Tier.FALLBACK,
        ),
        (
            f"https://art.example/artifactory/cg/python/simple/flask/3.0.2/{FLASK}",
            "https://art.example/artifactory/cg/simple/",
            Tier.BUILT,
        ),
        # … the fallback goes first
        (
            f"https://art.example/artifactory/api/pypi/python/python-upstream/python/simple/flask/3.0.2/{FLASK}",
            ARTIFACTORY,
            Tier.FALLBACK,
        ),
        # a repository that is called python
        (f"https://art.example/artifactory/api/pypi/python/simple/flask/3.0.2/{FLASK}", ARTIFACTORY, None),
        (f"https://nexus.example/repository/python/simple/flask/3.0.2/{FLASK}", NEXUS, None),
        (f"https://nexus.example/repository/python/packages/flask/3.0.2/{FLASK}", NEXUS, None),
        (f"https://pypi.example/python/simple/flask/3.0.2/{FLASK}", "https://pypi.example/python/simple/", None),
        # another repository of the same Artifactory, another host, a folder
        (f"https://art.example/artifactory/api/pypi/other/python/simple/flask/3.0.2/{FLASK}", ARTIFACTORY, None),
        (f"https://cdn.example/artifactory/api/pypi/python/python/simple/flask/3.0.2/{FLASK}", ARTIFACTORY, None),
        (f"file:///srv/python-upstream/flask/{FLASK}", "file:///srv/python-upstream/flask/index.html", None),
        ("https://[", DIRECT, None),
    ],
)
def test_tiers(url: str, base: str, tier: Tier | None) -> None:
    assert Tiers(base).of(url) is tier
    if tier is not None:
        assert Tiers(base).may_name(url.replace("%2D", "-"), own=True)
