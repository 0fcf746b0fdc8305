"""`ganjax completion`: a script by which a shell completes commands, experiments and options."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress

from ganjax.runs.arguments import Parser
from ganjax.runs.discovery import experiments

SCRIPT = """_ganjax() {{
  local now=${{COMP_WORDS[COMP_CWORD]}} known=
  case "$COMP_CWORD ${{COMP_WORDS[1]}}" in
    "1 "*) known="{commands}" ;;
    "2 run") known="{names}" ;;
  esac
  [[ $now == -* ]] && case "${{COMP_WORDS[*]:1:2}} " in
{flags}
  esac
  COMPREPLY=($(compgen -W "$known" -- "$now"))
}}
complete -o default -F _ganjax ganjax"""
ZSH = "autoload -U +X compinit && compinit && autoload -U +X bashcompinit && bashcompinit\n"


def completion(
    argv: Sequence[str], main: Callable[[Sequence[str]], int], commands: Sequence[str]
) -> int:
    """`ganjax completion`: the exit status. Options are those that each command's help names."""
    about = "A script that completes ganjax in your shell: source it, or save it where it is read."
    parser = Parser(prog="ganjax completion", description=about)
    parser.add_argument("shell", choices=("bash", "zsh"))
    shell = parser.parse(argv).shell
    names = [file.name for file in experiments()]
    lines = []
    for words in [*(f"run {name}" for name in names), *(c for c in commands if c != "run")]:
        with redirect_stdout(io.StringIO()) as told, suppress(SystemExit):
            main([*words.split(), "--help"])
        flags = sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", told.getvalue())))
        lines.append(f'    "{words} "*) known="{" ".join(flags)}" ;;')
    given = {"commands": " ".join(commands), "names": " ".join(names), "flags": "\n".join(lines)}
    print((ZSH if shell == "zsh" else "") + SCRIPT.format(**given))
    return 0
