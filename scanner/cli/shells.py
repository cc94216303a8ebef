"""How shells ask cgscan for words: a script for each, and the answers that the scripts read.

click's own scripts lose what stands before ``:`` or ``=`` in a word (``oci-dir:build``, ``json=report.json``,
``--output=json``) and expand what is in a name, so these are our own; finding the words is click's.

A script runs cgscan with :data:`scanner.variables.COMPLETE` set. The line up to the cursor is in ``COMP_WORDS``, for
bash the part that it would replace in ``COMP_CWORD``. Each line of the answer has four parts with the unit separator
(1F hex) between: ``plain``, ``file`` or ``dir``; what stands in the word before the value; the value; what it is.
An answer never fails and says nothing on standard error: nobody wants to read it in the middle of a line.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import ClassVar, Final

import click
from click.shell_completion import CompletionItem, ShellComplete, split_arg_string

from scanner.cli.words import teach
from scanner.variables import COMPLETE

_SEPARATOR: Final = "\x1f"
_BASH: Final = r"""# Completion of cgscan for bash 4.4 or later: eval "$(cgscan completion bash)"
_cgscan_completion() {
    local kind head value note path only=yes
    COMPREPLY=()
    local -a paths
    while IFS=$'\x1f' read -r kind head value note; do
        if [[ $kind == plain ]]; then
            only=no
            printf -v value %q "$value"
            [[ $value == *[:=,/] ]] || value+=' '
            COMPREPLY+=("$value")
        else
            [[ $kind == dir ]] && kind=-d || kind=-f
            mapfile -t paths < <(compgen -P "$head" "$kind" -- "$value")
        fi
    done < <(COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_CWORD="$2" @VARIABLE@=bash_complete "$1" 2>/dev/null)
    if [[ $only == yes ]]; then
        compopt -o filenames
        COMPREPLY=("${paths[@]}")
        return
    fi
    compopt -o nospace
    for path in "${paths[@]}"; do
        printf -v value %q "$path"
        [[ -d $path ]] && value+=/ || value+=' '
        COMPREPLY+=("$value")
    done
}
complete -o nosort -F _cgscan_completion cgscan
"""
_ZSH: Final = r"""#compdef cgscan
# Completion of cgscan for zsh: as a file _cgscan in a folder of $fpath, or eval "$(cgscan completion zsh)"
_cgscan() {
    local line
    local -a parts words_only described open_only
    local found=1
    for line in "${(@f)$(COMP_WORDS="${(j: :)words[1,CURRENT]}" COMP_CWORD= \
            @VARIABLE@=zsh_complete ${(Q)words[1]} 2>/dev/null)}"; do
        parts=("${(@ps:\x1f:)line}")
        case "$parts[1]" in
            plain)
                if [[ -n "$parts[4]" ]]; then
                    described+=("${parts[3]//:/\\:}:$parts[4]")
                elif [[ "$parts[3]" == *[:=,/] ]]; then
                    open_only+=("$parts[3]")
                else
                    words_only+=("$parts[3]")
                fi ;;
            file|dir)
                local -a kept=("$IPREFIX" "$PREFIX")
                [[ -z "$parts[2]" ]] || compset -P "${(b)parts[2]}"
                if [[ "$parts[1]" == dir ]]; then _files -/; else _files; fi && found=0
                IPREFIX="$kept[1]" PREFIX="$kept[2]" ;;
        esac
    done
    (( $#described )) && _describe -V cgscan described && found=0
    (( $#words_only )) && compadd -V words -a words_only && found=0
    (( $#open_only )) && compadd -V open -S '' -a open_only && found=0
    return found
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _cgscan "$@"
else
    compdef _cgscan cgscan
fi
"""
_FISH: Final = r"""# Completion of cgscan for fish: ~/.config/fish/completions/cgscan.fish
function _cgscan_completion
    set -l words (commandline -opc)
    set -l asked (string escape -- $words) (string escape -- (commandline -ct))
    for line in (COMP_WORDS="$asked" COMP_CWORD= @VARIABLE@=fish_complete $words[1] 2>/dev/null)
        set -l parts (string split \x1f -- $line)
        switch $parts[1]
            case plain
                if test -n "$parts[4]"
                    printf '%s\t%s\n' $parts[3] $parts[4]
                else
                    printf '%s\n' $parts[3]
                end
            case dir
                printf '%s\n' $parts[2](__fish_complete_directories "$parts[3]" '')
            case file
                printf '%s\n' $parts[2](__fish_complete_path "$parts[3]" '')
        end
    end
end
complete --command cgscan --no-files --arguments '(_cgscan_completion)'
"""


class Answers(ShellComplete):
    """One shell's way to ask; the answer is the same for all but bash."""

    eaten: ClassVar[bool] = False
    """Whether the shell replaces only what follows the last ``:`` or ``=`` of a word, and says so."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one at the cursor, and what is there of it."""
        line = os.environ.get("COMP_WORDS", "")
        words = split_arg_string(line)[1:]
        if not words or (line[-1:].isspace() and not line.endswith("\\ ")):
            return words, ""
        return words[:-1], words[-1]

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """Whole words, with what stands in them before the value."""
        option, equals, _ = incomplete.partition("=")
        head = option + equals if equals and option.startswith("--") else ""
        kept = self._replaced_from(incomplete)
        return [_whole(item, head, kept) for item in super().get_completions(args, incomplete)]

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Its four parts; control characters could end the line or move the cursor."""
        parts = (item.type, item.head or "", item.value, " ".join((item.help or "").split()))
        return _SEPARATOR.join("".join(char for char in part if char.isprintable()) for part in parts)

    def _replaced_from(self, incomplete: str) -> int:
        """How many characters of the word the shell keeps by itself."""
        part = os.environ.get("COMP_CWORD", "") if self.eaten else incomplete
        return len(incomplete) - len(part) if incomplete.endswith(part) else 0


class Bash(Answers):
    """bash, through readline."""

    name = "bash"
    source_template = _BASH
    eaten = True


class Zsh(Answers):
    """zsh with compinit."""

    name = "zsh"
    source_template = _ZSH


class Fish(Answers):
    """fish."""

    name = "fish"
    source_template = _FISH


SHELLS: Final[dict[str, type[Answers]]] = {shell.name: shell for shell in (Bash, Zsh, Fish)}


def script(shell: str) -> str:
    """What the shell is to run once, to ask cgscan from then on."""
    return SHELLS[shell].source_template.replace("@VARIABLE@", COMPLETE)


def answer(asked: str, command: click.Command) -> None:
    """Print the words for the shell of ``asked``, for example ``bash_complete``; whatever goes wrong, none."""
    shell = SHELLS.get(asked.removesuffix("_complete"))
    if shell is None:
        return
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - as long as the process is there
    with suppress(Exception):
        teach(command)
        sys.stdout.write(shell(command, {}, "cgscan", COMPLETE).complete() + "\n")
        sys.stdout.flush()


def _whole(item: CompletionItem[str], head: str, kept: int) -> CompletionItem[str]:
    if item.type == "plain":
        return CompletionItem((head + item.value)[kept:], help=item.help)
    return CompletionItem(item.value, type=item.type, head=(head + (item.head or ""))[kept:])
