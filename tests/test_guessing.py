"""Which projects a folder without metadata may be."""

from __future__ import annotations

import pytest

from scanner.guessing import Portion, names_of, required


def portion(*parts: str) -> Portion:
    return Portion(environment="/site", location="/site/" + "/".join(parts), parts=parts, files=())


@pytest.mark.parametrize(
    ("parts", "project"),
    [
        (("requests",), "requests"),
        (("yaml",), "pyyaml"),
        (("_yaml",), "pyyaml"),
        (("dateutil",), "python-dateutil"),
        (("typing_extensions",), "typing-extensions"),
        (("google", "protobuf"), "protobuf"),
        (("google", "cloud", "storage"), "google-cloud-storage"),
        (("psycopg2",), "psycopg2-binary"),
    ],
)
def test_usual_variants(parts: tuple[str, ...], project: str) -> None:
    assert project in names_of(portion(*parts))
    assert len(names_of(portion(*parts))) <= 14


@pytest.mark.parametrize("parts", [("__",), ("../x",), ("a b",), ("ü",), ("x" * 200,)])
def test_what_is_no_name_is_not_asked_for(parts: tuple[str, ...]) -> None:
    assert all(name.replace("-", "").isalnum() and len(name) < 100 for name in names_of(portion(*parts)))
    assert "__" not in names_of(portion(*parts))


def test_requirements_of_linux_without_extras() -> None:
    metadata = b"""Name: x
Requires-Dist: Pillow>=3
Requires-Dist: colorama; sys_platform == "win32"
Requires-Dist: tomli; python_version < "3.11"
Requires-Dist: pytest; extra == "test"
Requires-Dist: )( broken
Requires-Dist: idna

Requires-Dist: not-a-header
"""
    assert list(required([metadata, metadata], (3, 11))) == ["pillow", "idna"]
    assert list(required([metadata], (3, 10))) == ["pillow", "tomli", "idna"]
    assert "pillow" in list(required([b"\xff\xfe", metadata], None))
