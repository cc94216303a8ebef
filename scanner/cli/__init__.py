"""Parse, call, print, exit status. The only package that prints and exits.

Data goes to standard output, everything else to standard error. An error is one line that says what,
where and why, then ``hint:`` with what to do. Exit status: 0 the scan ran and the policy holds, 1 it ran and
the policy does not hold, 2 it did not run to the end; 130 it was interrupted.

    terminal    what a command says, and how
    options     options that several commands share
    scan, explain, diff, plan, purge, attest, verify, index, doctor, cache, config, completion, help
                a command each
    topics      exit statuses and environment variables as rows
    manual      commands as man pages
    words       which words may stand at a place of the command line
    shells      how bash, zsh and fish ask for them
    entry       around every command: the group, signals, and what becomes of an error

Nothing but click is imported here before a command runs, so that ``--help`` answers at once: commands import what
they call when they are called.
"""

from scanner.cli.entry import commands, main

__all__ = ["commands", "main"]
