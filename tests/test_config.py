"""Flags, environment and file: precedence, all faults at once, no secrets, hostile YAML."""

from __future__ import annotations

import re
import time
from dataclasses import fields
from pathlib import Path

import pytest

from scanner.attestation import CHAINGUARD
from scanner.config import SETTINGS, Settings, gather
from scanner.errors import ConfigError
from scanner.image import Platform
from scanner.index import Evidence, Role
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.values import COUNTS, LIMITS, Output, as_limit
from scanner.yamlfile import MOST_BYTES, MOST_VALUES, read_yaml

DOCS = Path(__file__).parent.parent / "docs" / "configuration.md"

FULL = """\
indexes:
  - name: cgr
    role: chainguard
    url: https://libraries.example/python/simple
    kind: simple
    built_only: true
    username_env: CGR_USER
    password_env: CGR_PASSWORD
  - name: pypi
    role: upstream
    path: mirror
policy:
  min_coverage: 90
  fail_on: [modified, unknown]
  min_evidence: path
limits:
  expanded: 2GiB
  request_seconds: 2.5
  layers: 7
registries:
  plain_http: [registry.example:5000]
  ca_file: certs/ca.pem
  authfile: /etc/auth.json
cache_dir: cache
jobs: 2
platform: linux/arm64
outputs: [table, json=report.json]
"""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str, name: str = "cgscan.yaml") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(flags: dict[str, object] | None = None, environment: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        gather(flags or {}, environment or {})
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value.faults


# -- what is read ----------------------------------------------------------------------------------


def test_nothing_given_is_the_defaults() -> None:
    settings = gather({"index": (), "platform": None, "offline": False}, {})
    assert settings == Settings()
    assert settings.limits == DEFAULT_LIMITS


def test_the_whole_file() -> None:
    written(FULL, "conf/cgscan.yaml")
    settings = gather({"config": "conf/cgscan.yaml"}, {})
    cgr, pypi = settings.indexes
    assert (cgr.name, cgr.role, cgr.location, cgr.built_only) == (
        "cgr",
        Role.CHAINGUARD,
        "https://libraries.example/python/simple",
        True,
    )
    assert (cgr.kind, cgr.username_env, cgr.password_env, cgr.token_env) == ("simple", "CGR_USER", "CGR_PASSWORD", None)
    assert (pypi.name, pypi.role, pypi.location) == ("pypi", Role.UPSTREAM, "conf/mirror")
    assert settings.policy.min_coverage == 90
    assert settings.policy.fail_on == {"modified", "unknown"}
    assert settings.policy.min_evidence is Evidence.PATH
    assert (settings.limits.expanded, settings.limits.request_seconds, settings.limits.layers) == (2 << 30, 2.5, 7)
    assert settings.limits.path == DEFAULT_LIMITS.path
    assert settings.plain_http == {"registry.example:5000"}
    assert settings.ca_file == Path("conf/certs/ca.pem")
    assert settings.authfile == Path("/etc/auth.json")
    assert settings.cache_dir == Path("conf/cache")
    assert (settings.jobs, settings.platform) == (2, Platform("linux", "arm64"))
    assert settings.outputs == (Output(format="table"), Output(format="json", path=Path("report.json")))


FLAGS = {
    "platform": "linux/s390x",
    "output": ("csv",),
    "min_coverage": "10",
    "fail_on": ("unchecked,pruned",),
    "min_evidence": "attested",
    "plain_http": ("flag.example",),
    "ca_file": "flag.pem",
    "authfile": "flag.json",
    "cache_dir": "flag-cache",
    "jobs": "9",
    "limit": ("layers=3",),
}
ENVIRONMENT = {
    "platform": "linux/riscv64",
    "output": "yaml",
    "min_coverage": "20",
    "fail_on": "os source",
    "min_evidence": "built-only",
    "plain_http": "environment.example",
    "ca_file": "environment.pem",
    "authfile": "environment.json",
    "cache_dir": "environment-cache",
    "jobs": "8",
    "limit": "layers=4 path=100",
}


def chosen(settings: Settings) -> dict[str, object]:
    policy, limits = settings.policy, settings.limits
    return {
        "platform": str(settings.platform),
        "output": settings.outputs[0].format,
        "min_coverage": policy.min_coverage,
        "fail_on": policy.fail_on,
        "min_evidence": policy.min_evidence.value,
        "plain_http": settings.plain_http,
        "ca_file": str(settings.ca_file),
        "authfile": str(settings.authfile),
        "cache_dir": str(settings.cache_dir),
        "jobs": settings.jobs,
        "limit": (limits.layers, limits.path, limits.expanded),
    }


def test_environment_beats_file() -> None:
    written(FULL)
    found = chosen(gather({}, {f"CGSCAN_{name.upper()}": value for name, value in ENVIRONMENT.items()}))
    assert found == {
        **ENVIRONMENT,
        "min_coverage": 20,
        "fail_on": {"os", "source"},
        "plain_http": {"environment.example"},
        "jobs": 8,
        "limit": (4, 100, 2 << 30),
    }


def test_flags_beat_environment() -> None:
    written(FULL)
    found = chosen(gather(FLAGS, {f"CGSCAN_{name.upper()}": value for name, value in ENVIRONMENT.items()}))
    assert found == {
        **FLAGS,
        "output": "csv",
        "min_coverage": 10,
        "fail_on": {"unchecked", "pruned"},
        "plain_http": {"flag.example"},
        "jobs": 9,
        "limit": (3, 100, 2 << 30),
    }


def test_switches_from_the_environment() -> None:
    settings = gather({}, {"CGSCAN_OFFLINE": "yes", "CGSCAN_PROVE": "1", "CGSCAN_NO_CACHE": "true", "HOME": "/home/x"})
    assert (settings.offline, settings.prove, settings.cache_dir) == (True, True, None)
    assert gather({"offline": True}, {"CGSCAN_OFFLINE": "no"}).offline
    assert not gather({}, {"CGSCAN_OFFLINE": "off"}).offline


def test_where_the_file_is_looked_for() -> None:
    home = {"HOME": str(Path("home").absolute()), "XDG_CONFIG_HOME": ""}
    xdg = home | {"XDG_CONFIG_HOME": str(Path("xdg").absolute())}
    assert gather({}, xdg).file is None
    written("jobs: 11", "home/.config/cgscan/cgscan.yaml")
    assert (gather({}, home).jobs, gather({}, xdg).jobs) == (11, 4)
    written("jobs: 12", "xdg/cgscan/cgscan.yaml")
    assert gather({}, xdg).jobs == 12
    written("jobs: 13")
    assert gather({}, xdg).jobs == 13
    written("jobs: 14", "environment.yaml")
    assert gather({}, xdg | {"CGSCAN_CONFIG": "environment.yaml"}).jobs == 14
    written("jobs: 15", "flag.yaml")
    settings = gather({"config": "flag.yaml"}, xdg | {"CGSCAN_CONFIG": "environment.yaml"})
    assert (settings.jobs, settings.file) == (15, Path("flag.yaml"))


def test_a_relative_xdg_folder_is_ignored() -> None:
    written("jobs: 12", "xdg/cgscan/cgscan.yaml")
    settings = gather({}, {"XDG_CONFIG_HOME": "xdg", "XDG_CACHE_HOME": "xdg", "HOME": "/home/x"})
    assert (settings.jobs, settings.cache_dir) == (4, Path("/home/x/.cache/cgscan"))


def test_a_policy_file_replaces_the_policy_of_the_file_and_flags_beat_it() -> None:
    written(FULL)
    written("min_coverage: 50\n", "policy.yaml")
    policy = gather({"policy": "policy.yaml"}, {}).policy
    assert (policy.min_coverage, policy.fail_on, policy.min_evidence) == (50, frozenset(), Evidence.SBOM)
    policy = gather({"policy": "policy.yaml", "min_coverage": "60%"}, {}).policy
    assert policy.min_coverage == 60
    written("min_coverage: 500\nfail-on: [x]\n", "policy.yaml")
    first, second = faults_of({"policy": "policy.yaml"})
    assert first == "policy.yaml.fail-on: there is no such key; did you mean fail_on?"
    assert second.startswith("policy.yaml.min_coverage: 500")


# -- indexes ---------------------------------------------------------------------------------------


def test_indexes_by_name_url_and_folder() -> None:
    written(FULL)
    Path("tree").mkdir()
    flags = {"index": ("cgr", "https://u:secret@other.example/simple", "tree"), "upstream": ("pypi",)}
    cgr, url, tree, pypi = gather(flags, {}).indexes
    assert (cgr.name, cgr.password_env) == ("cgr", "CGR_PASSWORD")
    assert (url.name, url.role, url.location) == (None, Role.CHAINGUARD, "https://u:secret@other.example/simple")
    assert (tree.location, tree.built_only, pypi.role) == ("tree", False, Role.UPSTREAM)


def test_an_index_on_the_command_line_leaves_those_of_the_file_out() -> None:
    written(FULL)
    assert [spec.name for spec in gather({"upstream": ("pypi",)}, {}).indexes] == ["pypi"]
    assert [spec.name for spec in gather({}, {"CGSCAN_INDEX": "cgr"}).indexes] == ["cgr"]


def test_built_only_is_of_the_indexes_that_are_given() -> None:
    Path("tree").mkdir()
    index, upstream = gather({"index": ("tree",), "upstream": ("tree",), "built_only": True}, {}).indexes
    assert (index.built_only, upstream.built_only) == (True, False)
    assert faults_of({"built_only": True})[0].startswith("--built-only: ")


def test_names_that_are_none() -> None:
    written(FULL)
    faults = faults_of({"index": ("cgrr", "pypi", "user:hunter2@host/simple", "x" * 5000), "upstream": ("ftp://x/y",)})
    assert faults[0].endswith("did you mean cgr?")
    assert faults[1] == "--index: the index pypi has the role upstream, not chainguard"
    assert "hunter2" not in " ".join(faults)
    assert len(faults[3]) < 300
    assert faults[4].startswith("--upstream: must be a URL")


# -- who asks --------------------------------------------------------------------------------------

WITH_HELPER = """\
indexes:
  - {name: a, role: chainguard, url: https://a.example/simple, helper: pass}
  - {name: b, role: upstream, url: https://b.example/simple, helper: [./tools/token, --json]}
  - {name: c, role: upstream, url: https://c.example/simple, keyring: true, username_env: C_USER}
"""


def test_a_helper_is_a_command_without_a_shell() -> None:
    written(WITH_HELPER, "conf/cgscan.yaml")
    a, b, c = gather({"config": "conf/cgscan.yaml"}, {}).indexes
    assert a.helper == ("docker-credential-pass", "get")
    assert b.helper == ("conf/tools/token", "--json")
    assert (c.helper, c.keyring, c.username_env) == ((), True, "C_USER")


def test_a_file_that_lies_around_runs_no_command() -> None:
    """Somebody who scans in a folder of a stranger's must not run what the stranger wrote."""
    written(WITH_HELPER)
    faults = faults_of()
    assert [fault.partition(": ")[0] for fault in faults] == ["indexes[0].helper", "indexes[1].helper"]
    assert all("a stranger's" in fault for fault in faults)
    home = {"HOME": str(Path("home").absolute())}
    assert len(gather({"config": "cgscan.yaml"}, {}).indexes) == 3
    assert len(gather({}, {"CGSCAN_CONFIG": "cgscan.yaml"}).indexes) == 3
    written(WITH_HELPER, "home/.config/cgscan/cgscan.yaml")
    Path("cgscan.yaml").unlink()
    assert len(gather({}, home).indexes) == 3


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("helper: 'hunter2 | sh'", "indexes[0].helper: must be NAME"),
        ("helper: {a: hunter2}", "indexes[0].helper: must be NAME"),
        ("helper: [a, 7]", "indexes[0].helper: must be NAME"),
        ('helper: ["a\\nhunter2"]', "indexes[0].helper: must be NAME"),
        ("repository: a b", "indexes[0].repository: must be the name of a repository"),
        ("keyring: perhaps", "indexes[0].keyring: perhaps is neither"),
        ("token_env: A, helper: x", "indexes[0]: says in several ways who asks: token_env, helper"),
        ("keyrings: true", "indexes[0].keyrings: there is no such key; did you mean keyring?"),
        ("password: hunter2", "indexes[0].password: files are copied"),
    ],
)
def test_faults_of_who_asks(keys: str, fault: str) -> None:
    written(f"indexes: [{{name: a, role: upstream, url: 'https://a.example/simple', {keys}}}]")
    [found] = faults_of({"config": "cgscan.yaml"})
    assert found.startswith(fault)
    assert "hunter2" not in found


# -- faults ----------------------------------------------------------------------------------------

WRONG = """\
indexes:
  - name: cgr
    role: chaingard
    url: https://libraries.example
    pasword_env: X
  - role: upstream
    url: https://user:hunter2@pypi.example/simple
    path: also
    password: hunter2
    token_env: hunter2-is-no-name
  - plain
  - {name: a, role: upstream, path: x, built_only: true}
  - {name: b, role: upstream, path: x}
  - {name: b, role: chainguard, path: x, kind: [1]}
policy: {min_coverage: 101, fail_on: [unkown], min_evidence: sbom2}
limits: {expandet: 1GiB, layers: 1KiB, path: -1, depth: 1.5, request_seconds: .nan}
registries: {plain-http: x, ca_file: 7}
job: 4
jobs: true
platform: linux
outputs: [tabel, json=]
"""


def test_every_fault_is_told_with_its_path() -> None:
    written(WRONG)
    faults = faults_of({"jobs": "many", "limit": ("layers",)}, {"CGSCAN_PROVE": "maybe"})
    paths = [fault.partition(": ")[0] for fault in faults]
    assert paths == [
        "CGSCAN_PROVE",
        "--limit",
        "--jobs",
        "job",
        "registries.plain-http",
        "platform",
        "outputs[0]",
        "outputs[1]",
        "policy.min_coverage",
        "policy.fail_on[0]",
        "policy.min_evidence",
        "registries.ca_file",
        "jobs",
        "indexes[0].pasword_env",
        "indexes[0].role",
        "indexes[1].password",
        "indexes[1].url",
        "indexes[1].token_env",
        "indexes[1].name",
        "indexes[1]",
        "indexes[2]",
        "indexes[2].name",
        "indexes[2].role",
        "indexes[2]",
        "indexes[3].built_only",
        "indexes[5].kind",
        "indexes[5].name",
        "limits.expandet",
        "limits.layers",
        "limits.path",
        "limits.depth",
        "limits.request_seconds",
    ]
    told = dict(zip(paths, faults, strict=True))
    assert told["job"].endswith("did you mean jobs?")
    assert told["indexes[0].pasword_env"].endswith("did you mean password_env?")
    assert told["limits.expandet"].endswith("did you mean expanded?")
    assert "password_env" in told["indexes[1].password"]
    assert "holds no secret" in told["indexes[1].password"]


def test_no_fault_shows_a_secret() -> None:
    written(WRONG)
    assert "hunter2" not in " ".join(faults_of())


def test_two_formats_on_standard_output() -> None:
    assert faults_of({"output": ("table", "json")})[0].startswith("--output: two formats")
    assert faults_of({"output": ("table", "json=-")})[0].startswith("--output: two formats")
    assert len(gather({"output": ("table", "json=a", "csv=b")}, {}).outputs) == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("expanded=64MiB", 64 << 20),
        ("expanded=0.5GiB", 1 << 29),
        ("path=10", 10),
        ("entries=1000", 1000),
        ("index_seconds=1.5", 1.5),
    ],
)
def test_limits_are_counts_sizes_and_seconds(text: str, value: float) -> None:
    name, amount = as_limit(text)
    assert (name, amount) == (text.partition("=")[0], value)
    assert type(amount) is type(getattr(DEFAULT_LIMITS, name))


@pytest.mark.parametrize(
    "text", ["expanded=64MB", "path=0", "entries=1MiB", "index_seconds=inf", "layers=1e400", "x=1"]
)
def test_limits_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"no number|more than zero|no such limit"):
        as_limit(text)


def test_every_limit_has_a_unit() -> None:
    assert set(LIMITS) == {field.name for field in fields(Limits)}
    assert set(LIMITS) > COUNTS


# -- hostile files ---------------------------------------------------------------------------------

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {k: v}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 20)}]}}\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, f"more than {MOST_VALUES} values"),
        (MERGE_BOMB, f"more than {MOST_VALUES} values"),
        ("a: &a [*a]\n", "line 1: a value that holds itself"),
        ("[" * 100_000, "nested too deeply"),
        ("jobs: 1\njobs: 2\n", "line 2: the key 'jobs' stands there twice"),
        ("x: !!python/object/apply:os.system [id]\n", "could not determine a constructor"),
        ("x: [1\n", "line 2"),
        ("x: 2001-99-99\n", "cannot be read"),
        ("? [1, 2]\n: x\n? {a: b}\n: y\n", "unhashable"),
        ("x: 1\n---\ny: 2\n", "found another document"),
        ("x: \x07\n", "special characters"),
        ("x: " + "9" * 5000 + "\n", "cannot be read"),
        ("x" * (MOST_BYTES + 1), "longer than"),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_yaml_that_is_refused(text: str, why: str) -> None:
    path = written(text)
    start = time.monotonic()
    with pytest.raises(ConfigError, match=re.escape(why)) as caught:
        read_yaml(path)
    assert time.monotonic() - start < 20
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 500


def test_files_that_cannot_be_read() -> None:
    with pytest.raises(ConfigError, match=r"cannot read nowhere\.yaml: No such file"):
        gather({"config": "nowhere.yaml"}, {})
    with pytest.raises(ConfigError, match="cannot read"):
        gather({"config": "."}, {})
    Path("latin.yaml").write_bytes(b"x: \xe9\n")
    with pytest.raises(ConfigError, match="no UTF-8 text"):
        gather({"config": "latin.yaml"}, {})


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\ufeffjobs: 4\n", "indexes:\npolicy:\n"])
def test_files_that_say_nothing(text: str) -> None:
    written(text)
    assert gather({}, {}).jobs == 4


@pytest.mark.parametrize("text", ["- a\n", "text\n", "7\n", "1: 2\n", "null: 3\n", "indexes: {}\n", "policy: [1]\n"])
def test_files_of_another_shape(text: str) -> None:
    written(text)
    assert len(faults_of()) == 1


# -- signatures ------------------------------------------------------------------------------------


def test_whose_signatures_count() -> None:
    assert gather({}, {}).signers == CHAINGUARD
    written(
        "trust_root: certs/root.json\nattestations: never\nidentities:\n"
        "  - {issuer: https://a.example, identity: https://a.example/me}\n"
        "  - {issuer: https://b.example, pattern: 'https://b\\.example/[0-9]+'}\n",
        "conf/cgscan.yaml",
    )
    settings = gather({"config": "conf/cgscan.yaml"}, {})
    assert (settings.trust_root, settings.attestations) == (Path("conf/certs/root.json"), "never")
    exact, pattern = settings.signers
    assert exact.is_meant("https://a.example", "https://a.example/me")
    assert not exact.is_meant("https://a.example", "https://a.example/me2")
    assert not exact.is_meant("https://b.example", "https://a.example/me")
    assert pattern.is_meant("https://b.example", "https://b.example/17")
    assert not pattern.is_meant("https://b.example", "https://b.example/17/18")
    assert not pattern.is_meant("https://b.example", "https://bxexample/17")
    assert gather({"config": "conf/cgscan.yaml", "attestations": "auto"}, {}).attestations == "auto"


def test_every_fault_of_identities_with_its_path() -> None:
    written(
        "identities:\n"
        "  - 7\n"
        "  - {issuer: x}\n"
        "  - {identity: x, pattern: y, name: z}\n"
        "  - {issuer: x, pattern: '('}\n"
        "  - {issuer: x, pattern: '.*'}\n"
        '  - {issuer: [x], identity: "a\\nb"}\n'
        "trust_root: [1]\n"
        "attestations: perhaps\n"
    )
    places = [fault.partition(": ")[0] for fault in faults_of()]
    assert sorted(places) == sorted(
        [
            "identities[0]",
            "identities[1]",
            "identities[2].'name'",
            "identities[2].issuer",
            "identities[2]",
            "identities[3].pattern",
            "identities[4].pattern",
            "identities[5].issuer",
            "identities[5].identity",
            "trust_root[0]",
            "attestations",
        ]
    )


@pytest.mark.parametrize("value", ["[]", "x", "{issuer: x}"])
def test_identities_that_are_no_list(value: str) -> None:
    written(f"identities: {value}\n")
    [fault] = faults_of()
    assert fault.startswith("identities: must be a list of at least one")


# -- the documentation -----------------------------------------------------------------------------


def test_the_documentation_has_the_table_of_settings() -> None:
    rows = [
        re.findall(r"`([^`]*)`", "|".join(line.split("|")[1:4]))
        for line in DOCS.read_text(encoding="utf-8").splitlines()
        if re.match(r"\| `--", line) and "CGSCAN_" in line
    ]
    assert rows == [[s.flag, s.variable, *([s.file] if s.file else [])] for s in SETTINGS]


def test_the_documentation_has_the_table_of_limits() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    told = {name: as_limit((name, default.removesuffix(" s")))[1] for name, default in rows if name in LIMITS}
    assert told == {name: getattr(DEFAULT_LIMITS, name) for name in LIMITS}


def test_the_documented_example_is_a_configuration() -> None:
    text = DOCS.read_text(encoding="utf-8")
    example = text[text.index("```yaml") + 8 :]
    written(example[: example.index("```")])
    settings = gather({}, {})
    assert {spec.role for spec in settings.indexes} == {Role.CHAINGUARD, Role.UPSTREAM}
    assert settings.policy.fail_on
