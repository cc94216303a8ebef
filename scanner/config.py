"""Flags, environment and a file -> one frozen :class:`Settings`.

What is said on the command line beats the environment (``CGSCAN_*``), which beats the file, which
beats the defaults. A list given at one place replaces the list of a lower place; limits are each
a setting of their own. Everything is checked before anything is used, and all faults are told at once.

The file is the first of: ``--config``, ``CGSCAN_CONFIG``, ``./cgscan.yaml``,
``$XDG_CONFIG_HOME/cgscan/cgscan.yaml`` (``~/.config`` where that is not set).
Relative paths in it start at its own folder. It holds no secret, only the names of environment variables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scanner.attestation import CHAINGUARD, Signer, read_signers
from scanner.entries import asked_indexes, file_indexes, is_there
from scanner.errors import CgscanError, ConfigError
from scanner.image import Platform
from scanner.index import IndexSpec
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.policy import Policy
from scanner.sections import check_keys, mapping
from scanner.values import (
    Output,
    Reader,
    as_attestations,
    as_compared_output,
    as_coverage,
    as_evidence,
    as_explained_output,
    as_fail_on,
    as_feed,
    as_host,
    as_jobs,
    as_limit,
    as_output,
    as_path,
    as_planned_output,
    as_platform,
    as_scope,
    as_switch,
    as_text,
    shown,
)

if TYPE_CHECKING:
    from scanner.webhooks import WebhookSource

FILE_NAME: Final = "cgscan.yaml"
_TABLE: Final = (Output(format="table"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one run does. ``cache_dir`` None remembers nothing; ``file`` is the configuration that was read."""

    indexes: tuple[IndexSpec, ...] = ()
    platform: Platform | str | None = None
    all_layers: bool = False
    outputs: tuple[Output, ...] = _TABLE
    policy: Policy = field(default_factory=Policy)
    limits: Limits = DEFAULT_LIMITS
    plain_http: frozenset[str] = frozenset()
    ca_file: Path | None = None
    authfile: Path | None = None
    offline: bool = False
    prove: bool = False
    attestations: str = "auto"
    trust_root: Path | None = None
    signers: tuple[Signer, ...] = CHAINGUARD
    lazy: bool = False
    check_bytecode: bool = False
    cache_dir: Path | None = None
    vex: str | None = None
    jobs: int = 4
    webhooks: tuple[WebhookSource, ...] = ()
    file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One thing that can be set: a row of the table in ``docs/configuration.md``.

    ``file`` is its path in the file, None where only flag and environment set it.
    """

    name: str
    read: Reader
    file: str | None = None
    many: bool = False
    commas: bool = False
    """Words may stand in one argument with commas between."""

    @property
    def flag(self) -> str:
        """The long option."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable; a list is split at white space."""
        return "CGSCAN_" + self.name.upper()

    def parts(self, raw: object) -> Sequence[object]:
        """The values that were written: one, the members of a list, or words with commas between."""
        if not self.many:
            return [raw]
        items = raw if isinstance(raw, list | tuple) else [raw]
        if self.commas and not isinstance(raw, list):
            return [word.strip() for item in items for word in str(item).split(",")]
        return items


SETTINGS: Final = (
    Setting(name="index", read=as_text, file="indexes", many=True),
    Setting(name="upstream", read=as_text, file="indexes", many=True),
    Setting(name="built_only", read=as_switch),
    Setting(name="config", read=as_path),
    Setting(name="platform", read=as_platform, file="platform"),
    Setting(name="scope", read=as_scope, file="scope"),
    Setting(name="output", read=as_output, file="outputs", many=True),
    Setting(name="policy", read=as_path),
    Setting(name="min_coverage", read=as_coverage, file="policy.min_coverage"),
    Setting(name="fail_on", read=as_fail_on, file="policy.fail_on", many=True, commas=True),
    Setting(name="min_evidence", read=as_evidence, file="policy.min_evidence"),
    Setting(name="limit", read=as_limit, file="limits", many=True),
    Setting(name="plain_http", read=as_host, file="registries.plain_http", many=True),
    Setting(name="ca_file", read=as_path, file="registries.ca_file"),
    Setting(name="authfile", read=as_path, file="registries.authfile"),
    Setting(name="offline", read=as_switch),
    Setting(name="no_cache", read=as_switch),
    Setting(name="cache_dir", read=as_path, file="cache_dir"),
    Setting(name="prove", read=as_switch),
    Setting(name="attestations", read=as_attestations, file="attestations"),
    Setting(name="trust_root", read=as_path, file="trust_root"),
    Setting(name="lazy", read=as_switch, file="lazy"),
    Setting(name="check_bytecode", read=as_switch),
    Setting(name="vex", read=as_feed, file="vex"),
    Setting(name="jobs", read=as_jobs, file="jobs"),
)
SIGNERS: Final = "identities"
"""The key of whose signatures count: several lines each, so only in the file."""
SERVE: Final = "serve"
"""The section that :mod:`scanner.serving` reads."""
WEBHOOKS: Final = "webhooks"
"""The key of who may post to ``cgscan serve``: the same."""
_POLICY: Final = tuple(setting for setting in SETTINGS if (setting.file or "").startswith("policy."))


def gather(flags: Mapping[str, object], environment: Mapping[str, str]) -> Settings:
    """Settle what a run does. ``flags`` are by :attr:`Setting.name`; None, False and () are not given.

    Raises :class:`scanner.errors.ConfigError` with every fault of all three places.
    """
    faults: list[str] = []
    # (1) what is given here and now
    around, here = _from_environment(environment, faults), _from_flags(flags, faults)
    given = {**around, **here}
    # (2) what is stored in files
    file = given.get("config") or _usual_file(environment)
    found = "config" not in given and file == Path(FILE_NAME)
    stored = _from_file(file, faults, may_run=not found) if file else {}
    if "policy" in given:
        own = {setting.name for setting in _POLICY}
        stored = {name: value for name, value in stored.items() if name not in own}
        stored |= _from_policy_file(given["policy"], faults)
    # (3) the one over the other
    specs = asked_indexes(given, stored.get("index", ()), faults)
    limits = [limit for place in (stored, around, here) for limit in place.get("limit", ())]
    values = {**stored, **given, "limit": dict(limits)}
    if sum(output.path is None for output in values.get("output", ())) > 1:
        faults.append("--output: two formats go to standard output; write FORMAT=FILE for all but one")
    if faults:
        raise _refusal(faults, file)
    return _settled(values, specs, file, environment)


def _refusal(faults: Sequence[str], file: Path | None) -> ConfigError:
    count = "one setting makes" if len(faults) == 1 else f"{len(faults)} settings make"
    where = f" (the configuration file is {file})" if file else ""
    return ConfigError(f"{count} no sense{where}", faults=faults, hint="'cgscan scan --help' lists the settings")


def _settled(
    values: Mapping[str, Any], specs: tuple[IndexSpec, ...], file: Path | None, environment: Mapping[str, str]
) -> Settings:
    same = ["platform", "ca_file", "authfile", "offline", "prove", "attestations", "trust_root", "signers", "lazy"]
    same += ["check_bytecode", "jobs", "webhooks"]
    policy = {key: values[key] for key in ("min_coverage", "min_evidence") if key in values}
    return Settings(
        indexes=specs,
        all_layers=values.get("scope") == "all-layers",
        outputs=values.get("output") or _TABLE,
        policy=Policy(fail_on=frozenset(values.get("fail_on", ())), **policy),
        limits=replace(DEFAULT_LIMITS, **values["limit"]),
        plain_http=frozenset(values.get("plain_http", ())),
        cache_dir=None if values.get("no_cache") else values.get("cache_dir") or usual_cache(environment),
        vex=str(values["vex"]) if "vex" in values else None,
        file=file,
        **{name: values[name] for name in same if name in values},
    )


def explained_outputs(texts: Sequence[str]) -> tuple[Output, ...]:
    """What ``cgscan explain`` writes: of its own flags alone, since file and environment speak of reports.

    Raises :class:`scanner.errors.ConfigError` with every fault.
    """
    return _own_outputs(texts, as_explained_output)


def planned_outputs(texts: Sequence[str]) -> tuple[Output, ...]:
    """The same of ``cgscan plan``."""
    return _own_outputs(texts, as_planned_output)


def compared_outputs(texts: Sequence[str]) -> tuple[Output, ...]:
    """The same of ``cgscan diff``."""
    return _own_outputs(texts, as_compared_output)


def _own_outputs(texts: Sequence[str], read: Reader) -> tuple[Output, ...]:
    faults: list[str] = []
    setting = Setting(name="output", read=read, many=True)
    outputs = _read_all([(setting, setting.flag, tuple(texts))], faults).get("output", ()) if texts else _TABLE
    if sum(output.path is None for output in outputs) > 1:
        faults.append("--output: two formats go to standard output; write FORMAT=FILE for all but one")
    if faults:
        raise _refusal(faults, None)
    return tuple(outputs)


def places(flags: Mapping[str, object], environment: Mapping[str, str]) -> dict[str, str]:
    """Where each setting comes from, for those who look at what :func:`gather` made of the same arguments.

    By :attr:`Setting.name`, and ``limit.NAME`` for a limit; what is not in it is the default.
    """
    faults: list[str] = []
    around, here = _from_environment(environment, faults), _from_flags(flags, faults)
    given = {**around, **here}
    file = given.get("config") or _usual_file(environment)
    stored = _from_file(file, faults, may_run=True) if file else {}
    policy = _from_policy_file(given["policy"], faults) if "policy" in given else {}
    if "policy" in given:
        stored = {name: value for name, value in stored.items() if name not in {one.name for one in _POLICY}}
    found: dict[str, str] = {}
    for values, said in ((stored, str(file)), (policy, str(given.get("policy"))), (around, ""), (here, "")):
        for setting in SETTINGS:
            where = said or (setting.variable if values is around else setting.flag)
            if setting.name != "limit" and values.get(setting.name):
                found[setting.name] = where
            if setting.name == "limit":
                found |= {f"limit.{name}": where for name, _ in values.get("limit", ())}
    if stored.get("index") and not (given.get("index") or given.get("upstream")):
        found["upstream"] = found["index"]
    if file and "config" not in given:
        found["config"] = "the usual place"
    return found


# -- flags and environment -------------------------------------------------------------------------


def _from_flags(flags: Mapping[str, object], faults: list[str]) -> dict[str, Any]:
    given = [(setting, setting.flag, flags.get(setting.name)) for setting in SETTINGS]
    rows = [(setting, where, raw) for setting, where, raw in given if raw not in (None, False, ())]
    return _read_all(rows, faults)


def _from_environment(environment: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    given = [(setting, environment.get(setting.variable, "").strip()) for setting in SETTINGS]
    rows = [(setting, setting.variable, tuple(raw.split()) if setting.many else raw) for setting, raw in given if raw]
    return _read_all(rows, faults)


def _read_all(rows: Iterable[tuple[Setting, str, object]], faults: list[str], folder: Path = Path()) -> dict[str, Any]:
    """Read (setting, where it stands, what stands there); what cannot be read is a fault and left out.

    Paths start at ``folder``. Lists come as lists from a file, as tuples from elsewhere.
    """
    values: dict[str, Any] = {}
    for setting, where, raw in rows:
        items = setting.parts(raw)
        places = [f"{where}[{place}]" if isinstance(raw, list) else where for place in range(len(items))]
        read: list[Any] = []
        for place, item in zip(places, items, strict=True):
            try:
                value = setting.read(item)
            except (ValueError, CgscanError) as problem:
                faults.append(f"{place}: {problem}")
            else:
                read.append(folder / value if isinstance(value, Path) else value)
        if read:
            values[setting.name] = tuple(read) if setting.many else read[0]
    return values


def usual_cache(environment: Mapping[str, str]) -> Path | None:
    """``$XDG_CACHE_HOME/cgscan``, else ``~/.cache/cgscan``; None where there is no home."""
    return _user_folder(environment, "XDG_CACHE_HOME", ".cache")


def stored_indexes(named: str | None, environment: Mapping[str, str]) -> tuple[IndexSpec, ...]:
    """The indexes of the configuration file that make sense; ``named`` is what ``--config`` says.

    Raises :class:`scanner.errors.CgscanError` where the file cannot be read.
    """
    given = named or environment.get("CGSCAN_CONFIG", "").strip()
    file = Path(given) if given else _usual_file(environment)
    return file_indexes(_tree(file, []).get("indexes"), file.parent, [], may_run=True) if file else ()


def _usual_file(environment: Mapping[str, str]) -> Path | None:
    folders = [Path(), _user_folder(environment, "XDG_CONFIG_HOME", ".config")]
    places = [folder / FILE_NAME for folder in folders if folder is not None]
    return next((place for place in places if is_there(place.is_file)), None)


def _user_folder(environment: Mapping[str, str], variable: str, below_home: str) -> Path | None:
    """XDG base directories: a relative path in the variable is to be ignored."""
    said = Path(environment.get(variable, ""))
    home = Path(environment.get("HOME", ""))
    if said.is_absolute():
        return said / "cgscan"
    return home / below_home / "cgscan" if home.is_absolute() else None


# -- files -----------------------------------------------------------------------------------------


def _tree(file: Path, faults: list[str]) -> Mapping[object, Any]:
    """What a YAML file says."""
    from scanner.yamlfile import read_yaml  # noqa: PLC0415 - most runs have no file, and PyYAML is slow to import

    return mapping(read_yaml(file), str(file), faults)


def _from_file(file: Path, faults: list[str], *, may_run: bool) -> dict[str, Any]:
    tree = _tree(file, faults)
    paths = [setting.file.partition(".") for setting in SETTINGS if setting.file]
    check_keys(tree, [SIGNERS, WEBHOOKS, SERVE, *(head for head, _, _ in paths)], "", faults)
    for section in ("policy", "registries"):
        below = mapping(tree.get(section), section, faults)
        check_keys(below, [tail for head, _, tail in paths if head == section], section, faults)
    rows: list[tuple[Setting, str, object]] = []
    for setting in SETTINGS:
        if setting.file and setting.file not in ("indexes", "limits"):
            head, _, tail = setting.file.partition(".")
            raw = mapping(tree.get(head), head, []).get(tail) if tail else tree.get(head)
            rows += [(setting, setting.file, raw)] if raw is not None else []
    values = _read_all(rows, faults, file.parent)
    values["index"] = file_indexes(tree.get("indexes"), file.parent, faults, may_run=may_run)
    values["limit"] = _file_limits(tree.get("limits"), faults)
    if tree.get(WEBHOOKS) is not None:
        from scanner.webhooks import file_webhooks  # noqa: PLC0415 - only a service has them

        values["webhooks"] = file_webhooks(tree[WEBHOOKS], faults)
    if tree.get(SIGNERS) is not None:
        values["signers"], wrong = read_signers(tree[SIGNERS], SIGNERS)
        faults.extend(wrong)
    return values


def _from_policy_file(file: Path, faults: list[str]) -> dict[str, Any]:
    """A policy file holds what stands below ``policy:`` in the configuration file."""
    tree = _tree(file, faults)
    check_keys(tree, [setting.name for setting in _POLICY], str(file), faults)
    given = [setting for setting in _POLICY if tree.get(setting.name) is not None]
    return _read_all([(setting, f"{file}.{setting.name}", tree[setting.name]) for setting in given], faults)


def _file_limits(value: object, faults: list[str]) -> tuple[tuple[str, float], ...]:
    limits: list[tuple[str, float]] = []
    for name, amount in mapping(value, "limits", faults).items():
        try:
            limits.append(as_limit((name, amount)))
        except ValueError as problem:
            faults.append(f"limits.{shown(name)}: {problem}")
    return tuple(limits)
