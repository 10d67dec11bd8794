"""NotificationTarget, version v1alpha1: where the operator sends notices about the questions of a namespace.

The descriptions are what ``kubectl explain`` shows, as those of `hitl.cluster.v1alpha1` are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Annotated, Any, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import Field

from hitl.cluster.shapes import Condition, Shape
from hitl.cluster.v1alpha1 import KubernetesObject
from hitl.core.notices import NoticeEvent
from hitl.core.pacing import Pace, QuietHours
from hitl.errors import InvalidRequest

TargetType: TypeAlias = Literal["webhook", "mail", "slack", "apprise"]

MAX_SELECTED: Final = 16

_CLOCK: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


class WebhookSettings(Shape):
    """A webhook: CloudEvents are posted to a URL."""

    url: str | None = Field(
        default=None,
        max_length=2048,
        description="Where to post. Absent: the Secret's key `url` says it. A URL that is a secret belongs there.",
    )
    format: Literal["cloudevents", "cdevents"] | None = Field(
        default=None, description="How notices are written. Absent: cloudevents."
    )


class MailSettings(Shape):
    """People who get e-mail."""

    to: list[Annotated[str, Field(max_length=256)]] = Field(
        default=[], max_length=32, description="Who gets each notice: addresses."
    )
    respondents: bool = Field(
        default=False,
        description="Whether those of a question's respondents.users get its notices whose names are addresses.",
    )
    sender: str = Field(max_length=256, description="The address that it comes from.")
    host: str = Field(max_length=253, description="The mail server that takes it.")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="Its port. Absent: 587, with tls 465, with none 25."
    )
    security: Literal["starttls", "tls", "none"] | None = Field(
        default=None,
        description="starttls: TLS once the connection is there; tls: from its beginning on; none: only if the "
        "operator allows private addresses. Absent: starttls.",
    )
    user: str | None = Field(
        default=None, max_length=256, description="The user who signs in to the server. Absent: nobody does."
    )


class SlackSettings(Shape):
    """A channel of a Slack workspace. People there get the way to the form.

    It takes no answers: a workspace says who somebody is, and that is for the cluster's admins to trust, in the
    operator's `HITL_NOTIFY`.
    """

    channel: str = Field(
        max_length=32, description="The channel's id, such as C0123456789, to which the app is invited."
    )


class SecretName(Shape):
    """A Secret in the same namespace."""

    name: str = Field(min_length=1, max_length=253, description="Its name.")


class LabelRequirement(Shape):
    """A label, and the values that it must have, or must not have."""

    key: str = Field(min_length=1, max_length=317, description="The label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(description="How it is compared.")
    values: list[Annotated[str, Field(max_length=63)]] = Field(
        default=[], max_length=MAX_SELECTED, description="The values, for In and NotIn."
    )

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels are as it says."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels


class Selector(Shape):
    """Which HumanInputs, by their labels, as in a Deployment: all that is said must be so."""

    match_labels: dict[str, Annotated[str, Field(max_length=63)]] = Field(
        default={}, max_length=MAX_SELECTED, description="Labels with their values."
    )
    match_expressions: list[LabelRequirement] = Field(
        default=[], max_length=MAX_SELECTED, description="Labels, compared otherwise."
    )

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a HumanInput with these labels is meant."""
        same = all(labels.get(key) == value for key, value in self.match_labels.items())
        return same and all(each.fits(labels) for each in self.match_expressions)


class RateLimit(Shape):
    """How many messages the target gets."""

    per_minute: int = Field(ge=1, le=6000, description="At most so many in any minute, retries too.")


class DigestSettings(Shape):
    """When several notices come in one message."""

    above: int = Field(
        ge=1, le=1000, description="When more than so many notices fall into the window, the others come together."
    )
    window_seconds: int = Field(
        default=60,
        ge=1,
        le=3600,
        description="The window. Notices are gathered that long, and less where the deadline is near.",
    )


class QuietHoursSettings(Shape):
    """When the target is not disturbed, each day. What would come too late is told 30 minutes before its end."""

    time_zone: str = Field(max_length=64, description="The time zone, such as Europe/Berlin.")
    start: str = Field(pattern=_CLOCK, description="Since when, such as 22:00.")
    end: str = Field(pattern=_CLOCK, description="Until when, such as 07:00; before `start`: on the next day.")


class NotificationTargetSpec(Shape):
    """Who is told, of what, and how much."""

    type: TargetType = Field(description="The channel. The field of the same name has its settings.")
    webhook: WebhookSettings | None = Field(default=None, description="Settings of a webhook.")
    mail: MailSettings | None = Field(default=None, description="Settings of e-mail.")
    slack: SlackSettings | None = Field(default=None, description="Settings of Slack.")
    secret_ref: SecretName | None = Field(
        default=None,
        description="A Secret of this namespace with what is secret: for a webhook the keys `url`, and `secrets`, "
        "which signs: at most four keys `whsec_…`, separated by blanks or new lines; for mail `password`; for "
        "slack `botToken`; for apprise `url`.",
    )
    events: list[NoticeEvent] | None = Field(
        default=None, max_length=8, description="What it is told of. Absent: everything."
    )
    selector: Selector | None = Field(
        default=None, description="Of which HumanInputs of this namespace it is told. Absent: of all."
    )
    rate_limit: RateLimit | None = Field(
        default=None, description="How many messages it gets. Absent: as many as there are."
    )
    digest: DigestSettings | None = Field(
        default=None, description="When several notices come in one message. Absent: never."
    )
    quiet_hours: QuietHoursSettings | None = Field(
        default=None, description="When it is not disturbed. Absent: never."
    )

    def pace(self) -> Pace:
        """Return how much it may be told.

        Raises:
            InvalidRequest: when it names a time zone that there is none of here.
        """
        quiet = self.quiet_hours
        hours = None
        if quiet is not None:
            try:
                zone = ZoneInfo(quiet.time_zone)
            # A name that is not found is a KeyError.
            except (KeyError, OSError, ValueError) as error:
                raise InvalidRequest(
                    f"quietHours.timeZone is {quiet.time_zone!r}, which is no time zone such as Europe/Berlin"
                ) from error
            hours = QuietHours(zone, time.fromisoformat(quiet.start), time.fromisoformat(quiet.end))
        return Pace(
            per_minute=self.rate_limit.per_minute if self.rate_limit else 0,
            alone=self.digest.above if self.digest else None,
            window=timedelta(seconds=self.digest.window_seconds if self.digest else 60),
            quiet=hours,
        )

    def settings(self) -> dict[str, Any]:
        """Return the settings of its channel, by the names that `HITL_NOTIFY` gives them."""
        found: Shape | None = getattr(self, self.type, None)
        return found.model_dump(exclude_none=True) if found is not None else {}


class NotificationTargetStatus(Shape):
    """Whether it can be told, and whether it takes what it is told."""

    observed_generation: int | None = Field(
        default=None,
        description="The metadata.generation that this status was found for; -1 before the operator has seen it.",
    )
    conditions: list[Condition] = Field(default=[], max_length=16, description="Ready, Delivering.")

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of a type, if there is one."""
        return next((each for each in self.conditions if each.type == kind), None)


class NotificationTarget(KubernetesObject):
    """Where the operator sends notices about the questions of a namespace: a webhook, e-mail, Slack, apprise."""

    spec: NotificationTargetSpec
    status: NotificationTargetStatus = NotificationTargetStatus()

    @property
    def key_name(self) -> str:
        """Its name in the storage's keys: no target of `HITL_NOTIFY` has a hyphen in front."""
        return f"-{self.metadata.name}"
