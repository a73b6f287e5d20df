"""Every regular expression of the project, wherever it stands, and texts that are hard for each of them."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from pathlib import Path
from re import _constants, _parser
from typing import Any

PACKAGES = ("routescope", "logs", "tasks", "accounts")
_ROOT = Path(__file__).parent.parent
_NOT_IMPORTED = ("migrations", "wsgi", "gunicorn")
_DEPTH = 6
_MATCHING = frozenset(("match", "fullmatch"))


@dataclass(frozen=True)
class Found:
    """A pattern, and whether it is only ever held against a text from its beginning."""

    pattern: re.Pattern[Any]
    only_matched: bool


def patterns() -> dict[str, Found]:
    """Return all compiled patterns in modules' values, and all that functions write as literals, by place."""
    found: dict[str, Found] = {}
    places: dict[int, str] = {}
    names = list(_modules())
    uses = [_uses(Path(str(importlib.import_module(name).__file__))) for name in names]
    modules = [importlib.import_module(name) for name in names]
    for name, module in zip(names, modules, strict=True):
        for attribute, value in vars(module).items():
            if attribute.startswith("__"):
                continue
            own = uses[names.index(name) : names.index(name) + 1] if attribute.startswith("_") else uses
            methods = {method for used in own for method in used.get(attribute, ())}
            matched = bool(methods) and methods <= _MATCHING
            for number, pattern in enumerate(_in(value, name, _DEPTH)):
                place = places.setdefault(id(pattern), f"{name}.{attribute}[{number}]")
                # Imported elsewhere it is the same pattern, used in more ways.
                before = found.get(place)
                found[place] = Found(pattern, matched and (before is None or before.only_matched))
    known = {one.pattern for one in found.values()}
    for name, module in zip(names, modules, strict=True):
        for line, method, pattern in _literals(Path(str(module.__file__))):
            if pattern not in known:
                found[f"{name}:{line}"] = Found(pattern, method in _MATCHING)
    return found


def _uses(path: Path) -> dict[str, set[str]]:
    """Return by names what methods are called of them in a file."""
    used: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used.setdefault(node.value.id, set()).add(node.attr)
    return used


def _modules() -> Iterator[str]:
    for package in PACKAGES:
        for info in pkgutil.walk_packages([str(_ROOT / package)], f"{package}."):
            if not any(part in info.name.split(".") for part in _NOT_IMPORTED):
                yield info.name


def _in(value: Any, module: str, depth: int) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif depth:
        inner: list[Any] = []
        if isinstance(value, Mapping):
            inner = list(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            inner = list(value)
        elif is_dataclass(value) and not isinstance(value, type):
            inner = [getattr(value, field.name, None) for field in fields(value)]
        elif isinstance(value, type) and value.__module__ == module:
            inner = list(vars(value).values())
        for one in inner:
            yield from _in(one, module, depth - 1)


def _literals(path: Path) -> Iterator[tuple[int, str, re.Pattern[Any]]]:
    """Yield the patterns that are handed to functions of ``re`` as they are used."""
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
            and node.func.attr != "compile"
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str | bytes)
        ):
            try:
                yield node.lineno, node.func.attr, re.compile(node.args[0].value)
            except re.error:
                continue  # Its flags are needed to read it: then it is compiled once, and found as a value.


COMMON = (
    "a", "A", "1", " ", "\n", ".", "@", "a@", "a.", "-", "_", "/", ":", "=", '"', "'", "\\", '\\"', "[", "{",
    "(", "a b ", "1 ", "1-", "12 34-", "a@a.", "[{", "{[", '["', "Bearer ", "key=", "://", "a:", "eyJ", "sk-",
    "+1 ",
    "\u4e2d", "\u3002", "\ufffd", "%", "%41", "<a", "&amp;", "\x1f", "aA1_", "a, ",
)  # fmt: skip
"""What is repeated to be hard for patterns in general."""


def hard_for(pattern: re.Pattern[Any]) -> list[Callable[[int], str]]:
    """Return makers of texts of a size: of what is hard in general, and of near misses of this pattern."""
    literals = _words(pattern)
    seeds = [*COMMON, *literals]
    seeds += [f"{word}{filler}" for word in literals for filler in ("a", " ", ".")]
    seeds += ["".join(literals)] if literals else []
    makers: list[Callable[[int], str]] = [partial(repeated, seed) for seed in dict.fromkeys(seeds)]
    for word in literals:
        for filler in ("a", " ", "1", "."):
            # Once what opens a match, and then what never closes it.
            makers += [partial(_begun, word, filler), partial(_ended, word, filler)]
    return makers


def repeated(seed: str, size: int) -> str:
    return (seed * (size // len(seed) + 1))[:size]


def _begun(word: str, filler: str, size: int) -> str:
    return (word + filler * size)[:size]


def _ended(word: str, filler: str, size: int) -> str:
    return filler * (size - len(word)) + word


def _words(pattern: re.Pattern[Any]) -> list[str]:
    """Return the runs of plain characters in a pattern."""
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    runs: list[str] = []
    _collect(_parser.parse(text, pattern.flags & ~re.UNICODE & ~re.DEBUG), runs)
    return [run for run in dict.fromkeys(runs) if len(run) > 1][:80]


def _collect(parsed: Any, runs: list[str]) -> None:
    run = ""
    for kind, argument in parsed:
        if kind is _constants.LITERAL:
            run += chr(argument)
            continue
        if run:
            runs.append(run)
            run = ""
        for inner in argument if isinstance(argument, tuple) else (argument,):
            if isinstance(inner, _parser.SubPattern):
                _collect(inner, runs)
            elif isinstance(inner, list):
                for branch in inner:
                    if isinstance(branch, _parser.SubPattern):
                        _collect(branch, runs)
    if run:
        runs.append(run)
