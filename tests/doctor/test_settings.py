"""The settings in effect: where each comes from, and no secret in any of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.config import SETTINGS, gather, places
from scanner.doctor import effective, variables
from tests.doctor.told import Doctor, configured
from tests.repository_managers.vendors import SECRET

FILE = """\
indexes:
  - name: ours
    role: chainguard
    url: https://index.example/simple
    username_env: OUR_USER
    token_env: OUR_TOKEN
  - name: theirs
    role: upstream
    path: .

policy:
  min_coverage: 50
  fail_on: [unknown, modified]
limits:
  layers: 7
  page: 1MiB
jobs: 2
platform: linux/arm64
"""


def _told(flags: dict[str, object], environment: dict[str, str]) -> dict[str, tuple[str, str]]:
    rows = effective(gather(flags, environment), places(flags, environment))
    assert len({row.name for row in rows}) == len(rows)
    return {row.name: (row.value, row.place) for row in rows}


def test_every_setting_is_told() -> None:
    told = _told({}, {"HOME": "/home/x"})
    assert set(told) == {setting.name for setting in SETTINGS} - {"limit", "policy"}
    assert {place for _, place in told.values()} == {"default"}
    assert told["cache_dir"] == ("/home/x/.cache/cgscan", "default")
    assert told["index"] == ("none", "default")


def test_flag_over_variable_over_file_over_default() -> None:
    file = configured(FILE)
    told = _told(
        {"config": file, "jobs": "9", "limit": ("page=2MiB",)}, {"CGSCAN_PLATFORM": "linux/s390x", "CGSCAN_JOBS": "8"}
    )
    assert told["jobs"] == ("9", "--jobs")
    assert told["platform"] == ("linux/s390x", "CGSCAN_PLATFORM")
    assert told["index"] == ("ours", file)
    assert told["upstream"] == ("theirs", file)
    assert told["fail_on"] == ("modified, unknown", file)
    assert told["min_coverage"] == ("50.0", file)
    assert told["config"] == (file, "--config")
    assert told["limit.layers"] == ("7", file)
    assert told["limit.page"] == ("2097152", "--limit")
    assert "limit.path" not in told
    assert told["scope"] == ("squashed", "default")


def test_the_usual_file_and_a_policy_of_its_own() -> None:
    configured(FILE)
    Path("policy.yaml").write_text("min_evidence: path\n")
    told = _told({"policy": "policy.yaml"}, {})
    assert told["config"] == ("cgscan.yaml", "the usual place")
    assert told["min_evidence"] == ("path", "policy.yaml")
    assert told["min_coverage"] == ("none", "default")  # the file's policy is replaced as a whole


def test_indexes_of_flags_replace_those_of_the_file() -> None:
    file = configured(FILE)
    told = _told({"config": file, "index": (f"https://u:{SECRET}@other.example/simple?x={SECRET}",)}, {})
    assert told["index"] == ("https://other.example/simple", "--index")
    assert told["upstream"] == ("none", "default")


def test_variables_are_named_and_never_shown() -> None:
    file = configured(FILE)
    environment = {
        "OUR_TOKEN": SECRET,
        "HTTPS_PROXY": f"http://u:{SECRET}@proxy.example",
        "CHAINGUARD_PYTHON_TOKEN": "",
    }
    rows = variables(gather({"config": file}, environment), environment)
    assert [(row.name, row.is_set) for row in rows] == [
        ("OUR_USER", False),
        ("OUR_TOKEN", True),
        ("HTTPS_PROXY", True),
    ]
    assert rows[1].purpose == "token of ours"
    assert SECRET not in str(rows)


@pytest.mark.parametrize("text", ["indexes: 3\n", "jobs: many\nlimits: [1]\n", "a: &a [*a]\n"])
def test_a_file_with_faults_is_no_check_up(doctor: Doctor, text: str) -> None:
    told = doctor("--config", configured(text))
    assert told.status == 2
    assert "cgscan: error:" in told.document["said"]
