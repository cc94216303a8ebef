"""Real wheels for the tests of this folder; without network and cache they are skipped."""

from __future__ import annotations

import pytest

from fixtures.wheels import FixtureUnavailable
from tests.real.stock import Stock, take_stock


@pytest.fixture(scope="session")
def stock() -> Stock:
    """All projects as both builds."""
    try:
        return take_stock()
    except FixtureUnavailable as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="session")
def folders(stock: Stock, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Both builds as local simple trees, by index name."""
    return stock.folders(tmp_path_factory.mktemp("indexes"))
