"""``cgscan verify-attestation``: what attestations of an image are worth."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from scanner.cli.options import CONFIG, DEBUG, IMAGES, NETWORK, OFFLINE, SILENCE, TERMINAL, options
from scanner.cli.terminal import Run, look, print_data
from scanner.errors import UsageError
from scanner.status import Status

if TYPE_CHECKING:
    from scanner.vouched import Demands

_AGE: Final = re.compile(r"([0-9]{1,6})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


@click.command(
    "verify-attestation",
    short_help="Read attestations of an image back: whose they are, and whether they hold.",
    epilog="""\b
Examples:
  cgscan verify-attestation registry.example/app:1.4 --key cgscan.pub
  cgscan verify-attestation registry.example/app:1.4 --key cgscan.pub --min-coverage 90 \\
      --max-age 30d
  cgscan verify-attestation app.intoto.jsonl --image oci-dir:build/image --key cgscan.pub -o json

\b
Exit status:
  0  verified: the newest attestation is signed, of this image, and holds
  1  there are attestations, and none does: another key, another image, FAILED, too old
  2  there is none, or nobody could be asked; standard output is empty
""",
)
@click.argument("target", metavar="TARGET|FILE")
@click.option(
    "--key",
    "keys",
    metavar="FILE",
    multiple=True,
    required=True,
    help="A public key, in PEM; one of several has to do.",
)
@click.option("--image", metavar="TARGET|DIGEST", help="Of a FILE (.json, .jsonl): the image that it has to be about.")
@click.option("--min-coverage", metavar="PCT", help="The least coverage that it has to tell.")
@click.option("--max-age", metavar="AGE", help="How long ago the scan may have been: 30d, 12h, 90m.")
@click.option(
    "-o",
    "--output",
    metavar="FORMAT[=FILE]",
    multiple=True,
    help="table or json; repeatable.  [default: table]",
)
@options(IMAGES[:1], (CONFIG,), OFFLINE, NETWORK, SILENCE, TERMINAL, (DEBUG,))
@click.pass_context
def verify(context: click.Context, /, target: str, **flags: Any) -> int:
    """Say whether an attestation of TARGET, attached in its registry or in a FILE, is signed with a key and holds.

    The newest one that the key signed counts, so an old PASSED makes no new FAILED good. Others are told, with why.
    """
    from scanner.config import explained_outputs, gather
    from scanner.run import check_folders, output_text
    from scanner.signing import VerifyingKey
    from scanner.verified import render
    from scanner.verifying import Asked
    from scanner.verifying import verify as verified

    run = context.ensure_object(Run)
    run.busy, run.quiet = True, flags["quiet"]
    outputs = explained_outputs(flags.pop("output"))
    age, image, keys = (flags.pop(name) for name in ("max_age", "image", "keys"))
    settings = gather(flags, os.environ)
    check_folders(outputs)
    asked = Asked(
        target=target,
        image=image,
        keys=tuple(VerifyingKey.read(Path(key)) for key in keys),
        demands=_demands(settings.policy.min_coverage, age),
    )
    found = verified(asked, settings)
    print_data(output_text(lambda name, shape: render(found, name, shape), outputs, **look(no_color=flags["no_color"])))
    return Status.HOLDS if found.verified else Status.BROKEN


def _demands(min_coverage: float | None, age: str | None) -> Demands:
    from scanner.vouched import Demands

    if age is None:
        return Demands(min_coverage=min_coverage)
    said = _AGE.fullmatch(age)
    if not said:
        raise UsageError(f"--max-age: {ascii(age)[:80]} is no age", hint="write 30d, 12h or 90m")
    return Demands(min_coverage=min_coverage, max_age=timedelta(**{_UNITS[said[2]]: int(said[1])}))
