"""``cgscan attest``: the result of a scan as a signed statement about its image."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from scanner.cli.options import (
    BYTECODE,
    CACHE,
    DEBUG,
    IMAGES,
    INDEXES,
    NETWORK,
    OFFLINE,
    POLICY,
    READING,
    SILENCE,
    TERMINAL,
    VERBOSITY,
    options,
)
from scanner.cli.terminal import Run, bars, one_line, print_data, say_nothing
from scanner.status import Status
from scanner.variables import KEY_PASSWORD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scanner.config import Settings
    from scanner.reference import Reference
    from scanner.report import Report
    from scanner.vouching import Attestation, Vouching

_OWN: Final = ("report", "key", "predicate", "form", "output", "push", "verifier")


@click.command(
    short_help="Say the result of a scan in a signed statement, and attach it to the image.",
    epilog="""\b
Examples:
  cgscan attest registry.example/app:1.4 --index chainguard --upstream pypi --min-coverage 90 \\
      --key cgscan.key --push
  cgscan attest registry.example/app:1.4 --report report.json --key cgscan.key -o app.intoto.jsonl
  cgscan attest registry.example/app:1.4 --report report.json --predicate vsa --as predicate \\
      -o vsa.json

\b
Exit status:
  0  it is attested, and the policy holds: PASSED
  1  it is attested, and the policy does not hold: FAILED
  2  it did not run to the end; standard output is empty
""",
)
@click.argument("target", metavar="TARGET")
@click.option("--report", metavar="FILE", help="Attest this report of TARGET (-o json=FILE) instead of scanning.")
@click.option(
    "--key",
    metavar="FILE",
    help=f"Sign with this private key, in PEM; a password is asked for, or in {KEY_PASSWORD}.",
)
@click.option(
    "--predicate",
    type=click.Choice(["vsa", "report"]),
    help="SLSA's verification summary, or the whole report.  [default: both]",
)
@click.option(
    "--as",
    "form",
    type=click.Choice(["envelope", "statement", "predicate"]),
    help="What is written: signed, or for another program to sign.  [default: envelope with --key]",
)
@click.option(
    "-o", "--output", metavar="FILE", help="Where it is written, one JSON in a line.  [default: to the terminal]"
)
@click.option("--push", is_flag=True, help="Attach it to the image in its registry.")
@click.option("--verifier", metavar="URI", help="Who verified, for the summary.")
@options(INDEXES, IMAGES, POLICY, OFFLINE, CACHE, READING, BYTECODE, NETWORK, SILENCE, VERBOSITY, TERMINAL, (DEBUG,))
@click.pass_context
def attest(context: click.Context, /, target: str, **flags: Any) -> int:
    """Scan TARGET and say the result in in-toto statements about its manifest, signed with --key.

    The policy decides between PASSED and FAILED. 'cgscan verify-attestation' reads them back.
    """
    from scanner.config import gather
    from scanner.policy import Policy
    from scanner.run import check_folders, write_whole
    from scanner.values import Output

    run = context.ensure_object(Run)
    run.busy, run.quiet = True, flags["quiet"]
    own = {name: flags.pop(name) for name in _OWN}
    form = _form(own)
    settings = gather(flags, os.environ)
    file = Path(own["output"]) if own["output"] else None
    check_folders([Output(format="json", path=file)])
    reference = _reference(target, push=own["push"])
    vouching = _vouching(own, settings)
    if (settings.policy.min_coverage, settings.policy.fail_on) == (None, Policy().fail_on):
        run.note("note: the policy asks for nothing, so PASSED says nothing; see --min-coverage and --fail-on")
    reports = _reports(reference, own["report"], settings, run, flags)
    made = [(report, vouching.attestations(report)) for report in reports]
    text = "".join(_written(one, form) + "\n" for _, attestations in made for one in attestations)
    if own["push"]:
        pushed = _pushed(made, settings)
        text, shown = (text if file else ""), pushed
    else:
        shown = "" if file else text
    if file:
        write_whole(file, text)
    print_data(shown)
    for violation in (violation for report in reports for violation in report.summary.violations):
        run.note(f"policy: {one_line(violation)}")
    return Status.HOLDS if all(report.summary.passed for report in reports) else Status.BROKEN


def _form(own: dict[str, Any]) -> str:
    from scanner.errors import UsageError

    form = own["form"] or ("envelope" if own["key"] else "statement")
    if form == "envelope" and not own["key"]:
        raise UsageError(
            "an envelope is signed, and there is no key", hint="name one with --key, or take --as statement"
        )
    if own["push"] and not own["key"]:
        raise UsageError("what is pushed is signed, and there is no key", hint="name one with --key")
    if form == "predicate" and not own["predicate"]:
        raise UsageError("which predicate is to stand alone is not said", hint="--predicate vsa or --predicate report")
    return str(form)


def _reference(target: str, *, push: bool) -> Reference:
    """Where it is pushed is known before the scan."""
    from scanner.reference import parse_reference
    from scanner.vouching import in_registry, registry_name

    if not push:
        return parse_reference(target)
    reference = in_registry(target)
    registry_name(reference)
    return reference


def _vouching(own: dict[str, Any], settings: Settings) -> Vouching:
    from urllib.parse import urlsplit

    from scanner.errors import UsageError
    from scanner.signing import SigningKey
    from scanner.statement import VERIFIER
    from scanner.vouching import PREDICATES, Vouching

    verifier = own["verifier"] or VERIFIER
    if not urlsplit(verifier).scheme or not verifier.isprintable() or " " in verifier:
        raise UsageError(f"--verifier: {ascii(verifier)[:80]} is no URI", hint="for example https://ci.example/cgscan")
    return Vouching(
        policy=settings.policy,
        key=SigningKey.read(Path(own["key"]), password=_password) if own["key"] else None,
        predicates=(own["predicate"],) if own["predicate"] else tuple(PREDICATES),
        verifier=verifier,
    )


def _password(path: Path) -> str | None:
    """From the environment, else from a person, without an echo."""
    if KEY_PASSWORD in os.environ:
        return os.environ[KEY_PASSWORD]
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return str(
        click.prompt(f"Password of {one_line(str(path))}", hide_input=True, err=True, default="", show_default=False)
    )


def _reports(
    reference: Reference, file: str | None, settings: Settings, run: Run, flags: dict[str, Any]
) -> Sequence[Report]:
    from scanner.run import scan_targets
    from scanner.vouching import report_about

    if file is not None:
        return (report_about(reference, Path(file), settings),)
    from dataclasses import replace

    with bars(off=run.quiet or flags["no_progress"]) as progress:
        note = run.note if flags["verbose"] else say_nothing
        outcome = scan_targets([str(reference)], replace(settings, outputs=()), progress=progress, note=note)
    for problem in outcome.problems:
        raise problem
    return outcome.reports


def _written(one: Attestation, form: str) -> str:
    from scanner.statement import predicate_of

    documents = {"envelope": lambda: one.document, "statement": lambda: one.statement}
    return documents.get(form, lambda: predicate_of(one.statement))().decode()


def _pushed(made: Sequence[tuple[Report, tuple[Attestation, ...]]], settings: Settings) -> str:
    """Push, and say what: a line for each."""
    from scanner.reference import parse_reference
    from scanner.run import options_of, store_of
    from scanner.vouching import push, registry_name

    source = options_of(settings, store_of(settings)).source
    lines: list[str] = []
    for report, attestations in made:
        name = registry_name(parse_reference(report.target.reference))
        for one, attached in push(attestations, report, options=source):
            listed = f" listed under the tag {attached.tag}" if attached.tag else ""
            lines.append(f"{name.host}/{name.repository}@{attached.digest} {one.predicate_type}{listed}\n")
    return "".join(lines)
