"""A YAML file as plain data: safe tags only, bounded in size, depth and alias expansion.

Keys written twice are refused: YAML 1.2 forbids them (3.2.1.3), and the loader would take the last in silence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from scanner.errors import ConfigError

MOST_BYTES: Final = 1 << 20
"""Bytes of one file."""
MOST_VALUES: Final = 20_000
"""Values of one file, every alias counted as what it stands for."""


def read_yaml(path: Path) -> object:
    """What the file says, None for an empty one; :class:`ConfigError` for what is no such file."""
    text = _text(path)
    try:
        return _load(text, path)
    except yaml.YAMLError as problem:
        raise ConfigError(f"{path} is no YAML that can be read: {_said(problem)}") from problem
    except RecursionError as problem:
        raise ConfigError(f"{path} is nested too deeply") from problem
    except (ValueError, OverflowError) as problem:  # dates and numbers that are none
        raise ConfigError(f"{path} holds a value that cannot be read: {_line(str(problem))}") from problem


def _load(text: str, path: Path) -> object:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        faults = _faults(node) if node is not None else []
        if faults:
            raise ConfigError(f"{path} cannot be used", faults=faults)
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as problem:
        raise ConfigError(f"cannot read {path}: {problem.strerror or problem}") from problem
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{path} is longer than {MOST_BYTES} bytes", hint="this is no configuration file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path} is no UTF-8 text: byte {problem.start}") from problem


def _faults(root: yaml.Node) -> list[str]:
    """Keys that are written twice, and aliases that stand for more than the bound or for themselves."""
    faults: list[str] = []
    if _expanded(root, {}, faults) > MOST_VALUES:
        faults.append(f"it stands for more than {MOST_VALUES} values")
    return faults


def _expanded(node: yaml.Node, known: dict[int, int], faults: list[str]) -> int:
    """How many values the node stands for; each node is walked once, however often it is referred to."""
    if id(node) in known:
        if not known[id(node)]:
            faults.append(f"line {node.start_mark.line + 1}: a value that holds itself")
        return known[id(node)] or 1
    known[id(node)] = 0
    inside: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        inside = [part for pair in node.value for part in pair]
        _find_doubles(node, faults)
    elif isinstance(node, yaml.SequenceNode):
        inside = node.value
    known[id(node)] = 1 + sum(_expanded(part, known, faults) for part in inside)
    return known[id(node)]


def _find_doubles(node: yaml.MappingNode, faults: list[str]) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                faults.append(f"line {key.start_mark.line + 1}: the key {ascii(key.value)[:80]} stands there twice")
            seen.add(key.value)


def _said(problem: yaml.YAMLError) -> str:
    if isinstance(problem, yaml.MarkedYAMLError) and problem.problem_mark is not None:
        return f"line {problem.problem_mark.line + 1}: {_line(problem.problem or problem.context or 'not YAML')}"
    return _line(str(problem))


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
