"""Running a definition's expressions over an answer, within bounds: both were written by others.

Two functions are added to JMESPath's own: ``lower(text)``, to look for words in any case, and
``from_json(text)``, for providers that put JSON into a string; null where that is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jmespath
from jmespath import functions
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter

from routescope.wire import strict_json
from routescope.wire.strict_json import JSON, JSONError
from tasks.providers.definition import expression

if TYPE_CHECKING:
    from jmespath.visitor import _TreeNode

MAX_STEPS = 200_000
"""Nodes that one expression may visit, and values that it may bring forth: some 0.3 s of work."""


class ReadingError(ValueError):
    """An answer cannot be read by the definition: one of its expressions is wrong, or has no end."""


def find(path: str, answer: Any) -> Any:
    """Return what an expression finds in an answer; None for none, and where the answer has another shape.

    Raises ReadingError.
    """
    if not path:
        return None
    try:
        return _Bounded().visit(expression(path).parsed, answer)
    except JMESPathError:
        # A function was given a type it does not take: the answer has another shape than was expected.
        return None
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise ReadingError(f"{path[:200]!r} cannot be worked out: {error or type(error).__name__}") from error


class _Functions(functions.Functions):
    """JMESPath's functions and ours; each ``_func_`` is one. ``count`` is told how much work they do."""

    def __init__(self, count: Callable[[int], None]) -> None:
        super().__init__()
        self._count = count

    @functions.signature({"types": ["string"]})
    def _func_lower(self, text: str) -> str:
        self._count(len(text) // 100)
        return text.lower()

    @functions.signature({"types": ["string"]})
    def _func_from_json(self, text: str) -> JSON:
        self._count(len(text) // 10)
        try:
            return strict_json.decode(text, nan_is_null=True)
        except JSONError:
            return None


class _Bounded(TreeInterpreter):
    """Counts what an expression does: a short one can double its work, or its result, at every turn."""

    def __init__(self) -> None:
        super().__init__(jmespath.Options(custom_functions=_Functions(self._count)))
        self._steps = 0

    def visit(self, node: _TreeNode, *args: Any, **kwargs: Any) -> Any:
        self._count(1)
        found = super().visit(node, *args, **kwargs)
        if node["type"] in _MAKING:
            self._count(len(found) if isinstance(found, list | dict) else 0)
            self._count(len(found) // 100 if isinstance(found, str) else 0)
        return found

    def _count(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise ReadingError(f"it takes more than {MAX_STEPS:,} steps")


_MAKING = {"flatten", "function_expression", "slice"}
"""Nodes whose result may be larger than what was visited for it."""
