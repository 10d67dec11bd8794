"""`hitl notify`: whether notices reach their targets."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated

import typer
from pydantic import BaseModel

from hitl.cli import output
from hitl.cli.codes import Code
from hitl.cli.options import AsJson, RequestId
from hitl.cli.place import Place, looks, needing_kubernetes
from hitl.cli.storage_backend import Stored
from hitl.cli.tables import print_table
from hitl.core.notices import NotDelivered
from hitl.errors import InvalidRequest
from hitl.notify.channels import Channel, Message
from hitl.notify.opening import channels_of
from hitl.records.outbox import SEND_SECONDS, NoticeState, notice_states
from hitl.records.records import utc_now
from hitl.settings import Settings


class Tested(BaseModel):
    """Whether a target took a test."""

    target: str
    delivered: bool
    why: str = ""


class Shown(BaseModel):
    """Where a notice stands."""

    notice: str
    target: str
    state: str
    tries: int
    why: str = ""

    @classmethod
    def of(cls, state: NoticeState) -> Shown:
        """Return what is shown of a notice."""
        return cls(
            notice=state.box.notice,
            target=state.box.target,
            state={"done": "delivered", "dead": "given up"}.get(state.ended, "trying"),
            tries=state.tries,
            why=state.why,
        )


@looks
def send_test(
    place: Place,
    name: Annotated[
        str | None, typer.Argument(metavar="[TARGET]", help="Only this target.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send a test to each target of HITL_NOTIFY, and say which of them took it; exit 1 if one did not.

    In a cluster: to the NotificationTargets of a namespace. They, and their Secrets, are read with your rights,
    and the test is sent from here. Whether the operator can deliver, their conditions say.
    """
    settings = Settings()
    tested = asyncio.run(_tested(place, name, settings))
    if as_json:
        output.print_json(tested)
    else:
        rows = [[each.target, "delivered" if each.delivered else f"not delivered: {each.why}"] for each in tested]
        print_table(["TARGET", "RESULT"], rows, wrapped=("RESULT",))
    if failed := [each.target for each in tested if not each.delivered]:
        output.fail(f"not delivered: {', '.join(failed)}", Code.REFUSED)


def status(request_id: RequestId, as_json: AsJson = False) -> None:
    """Say which notices about a question were delivered, and why others were not."""
    stored = Stored(Settings())

    async def states() -> list[NoticeState]:
        request = await stored.read(request_id)
        return await notice_states(stored.store, request.request_id)

    shown = [Shown.of(each) for each in asyncio.run(states())]
    if as_json:
        output.print_json(shown)
    elif shown:
        rows = [[each.notice, each.target, each.state, str(each.tries), each.why] for each in shown]
        print_table(["NOTICE", "TARGET", "STATE", "TRIES", "WHY"], rows, wrapped=("WHY",))
    else:
        output.say("Nobody was told of this question.")


async def _tested(place: Place, name: str | None, settings: Settings) -> list[Tested]:
    private = settings.notify_private == "allow"
    if place.is_cluster:
        with needing_kubernetes():
            from hitl.cli.notify_cluster import channels_in

        channels = await channels_in(place, name, private=private)
    else:
        channels = _of_settings(name, settings, private=private)
    return list(await asyncio.gather(*map(_test, channels)))


def _of_settings(name: str | None, settings: Settings, *, private: bool) -> list[Channel]:
    channels = channels_of(settings.notify.get_secret_value(), private=private)
    if not channels:
        raise InvalidRequest("HITL_NOTIFY is not set, so nobody is told of questions: set it to a webhook's URL")
    chosen = [each for each in channels if name in (None, each.name)]
    if not chosen:
        known = ", ".join(each.name for each in channels)
        raise InvalidRequest(f"HITL_NOTIFY has no target {name!r}: it has {known}")
    return chosen


async def _test(channel: Channel) -> Tested:
    message = Message(f"test_{secrets.token_hex(6)}", None, utc_now())
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await channel.send(message)
    except NotDelivered as failure:
        return Tested(target=channel.name, delivered=False, why=failure.why)
    except TimeoutError:
        return Tested(target=channel.name, delivered=False, why=f"it took more than {SEND_SECONDS:.0f} s")
    return Tested(target=channel.name, delivered=True)
