"""Show docstrings and functions of `Syncified` as readers of the API page know them: mkdocs.yml names this file.

griffe reads the source and runs nothing: of `ask = Syncified(_ask)` it sees an attribute without arguments.
"""

from __future__ import annotations

from typing import Any, Final

import griffe

_BOTH: Final = "also .aio"


class Syncified(griffe.Extension):
    """Shows both forms of a function that blocks, and that can be awaited."""

    def on_module_members(self, *, mod: griffe.Module, **_: Any) -> None:
        """Put the wrapped function where a module names it."""
        for name, member in list(mod.members.items()):
            value = member.value if isinstance(member, griffe.Attribute) else None
            if not isinstance(value, griffe.ExprCall) or str(value.function) != "Syncified":
                continue
            function = mod.members[str(value.arguments[0])]
            if isinstance(function, griffe.Function):
                mod.set_member(name, _renamed(function, name))

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Say of a method that it has both forms: griffe takes the decorated one for asynchronous only."""
        if any(str(decorator.value) == "Syncified" for decorator in func.decorators):
            func.labels = (func.labels - {"async"}) | {_BOTH}

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Drop the `::` in front of an example: it is not Markdown's."""
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace("\n::\n", "\n")


def _renamed(function: griffe.Function, name: str) -> griffe.Function:
    copy = griffe.Function(
        name,
        parameters=function.parameters,
        returns=function.returns,
        docstring=function.docstring,
        lineno=function.lineno,
        endlineno=function.endlineno,
    )
    copy.labels |= {_BOTH}
    return copy
