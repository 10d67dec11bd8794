"""The command: its subcommands, the options that they share, and how errors end it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from typer.core import TyperGroup

from hitl.cli import ask, audit, demo, doctor, links, listing, notify, requests, root, serve
from hitl.cli.arguments import Command, ReadingCommand, looks_like_an_option
from hitl.cli.codes import Code, code_of
from hitl.cli.options import in_cluster, rooted
from hitl.cli.output import fail
from hitl.cli.streams import escape_what_does_not_fit
from hitl.core.faults import settings_sentences
from hitl.errors import HITLError, printable


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class _Group(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except HITLError as error:
            details = [each for each in getattr(error, "details", ()) if each not in str(error)]
            fail("\n  ".join([str(error), *details]), code_of(error))
        except (SettingsError, ValidationError) as error:
            fail(settings_sentences(error)[0], Code.USAGE)


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

_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "demo": demo.demo,
    "ask": ask.ask,
    "list": listing.list_requests,
    "show": requests.show,
    "answer": requests.answer,
    "reject": requests.reject,
    "withdraw": requests.withdraw,
    "delegate": requests.delegate,
    "cancel": requests.cancel,
    "wait": requests.wait,
    "link": links.link,
    "serve": serve.serve,
    "gc": root.gc,
}

_READING: Final = ("ask", "answer")

for _name, _function in _COMMANDS.items():
    app.command(_name, cls=ReadingCommand if _name in _READING else Command)(_function)
storage.command("check", cls=Command)(root.check)
app.add_typer(storage, name="storage")
audits = typer.Typer(help="What happened to the questions under the root.", no_args_is_help=True)
audits.command("export", cls=Command)(audit.export_audit)
audits.command("verify", cls=Command)(audit.verify)
app.add_typer(audits, name="audit")
notices = typer.Typer(help="Whether people are told of questions.", no_args_is_help=True)
notices.command("test", cls=Command)(notify.send_test)
notices.command("status", cls=Command)(notify.status)
app.add_typer(notices, name="notify")
app.command("doctor", cls=Command)(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"hitl {version('flyte-hitl')}")
        raise typer.Exit


@storage.callback()
def _storage() -> None:
    """Look after the storage under the root."""


@audits.callback()
def _audits() -> None:
    """Export and verify what happened to the questions under the root."""


@notices.callback()
def _notices() -> None:
    """Try out who is told of questions, and see who was."""


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
    rooted.set(storage_root is not None)
    if storage_root is not None:
        if looks_like_an_option(storage_root):
            fail(f"--root needs a value, and {storage_root!r} begins like an option", Code.USAGE)
        # Flyte tasks and the web app that run in this process read it there as well.
        os.environ["HITL_STORAGE_ROOT"] = storage_root
        in_cluster.set(False)


def run(*, as_plugin: bool = False) -> None:
    """Run the command line and leave with its exit code.

    Args:
        as_plugin: It was called as `kubectl hitl`.
    """
    in_cluster.set(as_plugin)
    escape_what_does_not_fit()
    if logging.lastResort is not None:
        # What the library logs ends on this terminal, and may repeat what other people wrote.
        logging.lastResort.setFormatter(_Printable())
    app(prog_name="kubectl hitl" if as_plugin else "hitl")
