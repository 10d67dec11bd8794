"""The command's shape: which commands there are, what they share, and how errors leave them."""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from typer.core import TyperGroup

from hitl.cli import ask, demo, doctor, links, requests, root, serve
from hitl.cli.codes import Code, code_of
from hitl.cli.options import in_cluster
from hitl.cli.output import fail
from hitl.errors import HITLError


class _Group(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except HITLError as error:
            details = getattr(error, "details", ())
            fail("\n  ".join([str(error), *details]), code_of(error))
        except (SettingsError, ValidationError) as error:
            fail(_setting(error), Code.USAGE)


app = typer.Typer(
    name="hitl",
    cls=_Group,
    help="People answer the questions that automation asks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if sys.stdout.isatty() and sys.stderr.isatty() else None,
    epilog="Exit codes: " + "; ".join(f"{code} {code.name.lower().replace('_', ' ')}" for code in Code) + ".",
    context_settings={"help_option_names": ["-h", "--help"]},
)
storage = typer.Typer(help="The storage under the root.", no_args_is_help=True)

app.command("demo")(demo.demo)
app.command("ask")(ask.ask)
app.command("list")(requests.list_requests)
app.command("show")(requests.show)
# A negative number is a value, not an option.
app.command("answer", context_settings={"ignore_unknown_options": True})(requests.answer)
app.command("reject")(requests.reject)
app.command("cancel")(requests.cancel)
app.command("wait")(requests.wait)
app.command("link")(links.link)
app.command("serve")(serve.serve)
app.command("gc")(root.gc)
storage.command("check")(root.check)
app.add_typer(storage, name="storage")
app.command("doctor")(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"hitl {version('flyte-hitl')}")
        raise typer.Exit


@storage.callback()
def _storage() -> None:
    """Look after the storage under the root."""


@app.callback()
def _shared(
    storage_root: Annotated[
        str | None,
        typer.Option(
            "--root",
            metavar="URL",
            help="The root: s3://…, gs://…, az://… or a folder. HITL_STORAGE_ROOT; else a folder of yours.",
            show_default=False,
        ),
    ] = None,
    _show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """People answer the questions that automation asks."""
    if storage_root is not None:
        # Flyte tasks and the web app that run in this process read it there as well.
        os.environ["HITL_STORAGE_ROOT"] = storage_root
        in_cluster.set(False)


def run(*, as_plugin: bool = False) -> None:
    """Run the command line and leave with its exit code.

    Args:
        as_plugin: It was called as `kubectl hitl`.
    """
    in_cluster.set(as_plugin)
    app(prog_name="kubectl hitl" if as_plugin else "hitl")


def _setting(error: SettingsError | ValidationError) -> str:
    if isinstance(error, SettingsError):
        field = re.search(r'field "(\w+)"', str(error))
        return f"HITL_{field[1].upper()} is not JSON: correct or unset it" if field else str(error)
    first = error.errors(include_url=False)[0]
    why = first["msg"].removeprefix("Value error, ")
    name = "_".join(str(part) for part in first["loc"]).upper()
    if not name:
        return why
    shown = f" is {first['input']!r}" if isinstance(first["input"], str) and "SECRET" not in name else ""
    return f"HITL_{name}{shown}: {why}"
