"""What a question may be given besides its name, its type and its prompt: spelled once, for each way to ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from pydantic import JsonValue

from hitl.author.evidence import Shown
from hitl.core.approval import Approval
from hitl.core.asked import OnTimeout, PromptFormat
from hitl.core.business_hours import BusinessHours
from hitl.core.further import Escalation, Seconds
from hitl.core.respondents import Respondents

EventScope: TypeAlias = Literal["run"]
"""How far a question reaches. There is one scope, ``"run"``; the old plugin has the parameter, too."""


class Options(TypedDict, total=False):
    """What `new_event` and `ask` take by name."""

    key: str | None
    """Names the question within its action, instead of its content and its order. Outside Flyte, names it
    permanently. Another question under the same key is refused. None: nothing names it."""
    choices: Sequence[Any] | Mapping[Any, str] | None
    """At most 64 values of the type, in the order in which they are shown; not for bool and json. A mapping gives
    each the label under which people see it: `{"eu": "Europe"}`. None: any value."""
    default: Any
    """The answer at the deadline when nobody gave one. None: there is none."""
    on_timeout: OnTimeout | None
    """At the deadline, `"default"` answers with `default`, and `"fail"` raises `EventTimedOut`. None: `"default"`
    where there is a default, else `"fail"`."""
    schema: Mapping[str, JsonValue] | None
    """A JSON Schema that the answer must fit, besides the data type. None: the type says all."""
    respondents: Respondents | Mapping[str, Sequence[str]] | None
    """Who may answer where people sign in: `{"users": […]}`, `{"groups": […]}` or both. None: everyone who can
    open the form."""
    approval: Approval | None
    """Who must agree: `hitl.Approval(required=2)`. None: one person decides."""
    requester: str
    """The name of the user it is asked for. An `approval` may exclude this user. Empty by default."""
    escalate: Escalation | None
    """Who may answer later as well as the `respondents`: at most 8 pairs of a time after asking and respondents,
    such as `[(timedelta(hours=1), {"groups": ["oncall"]})]`. None by default."""
    reminders: Sequence[Seconds] | None
    """When people are reminded: at most 8 times before the deadline. None: as `HITL_NOTIFY_REMINDERS` says."""
    business_hours: BusinessHours | None
    """When they may be reminded. A reminder that would be due outside is told at the last moment before that is
    inside. None: at any time."""
    prompt_format: PromptFormat
    """`"markdown"`, or `"plain"` for a prompt that is shown as it is: data in it keep their stars, underscores and
    new lines. In Markdown, `hitl.escape` does that for a part. `"markdown"` by default."""
    proposed: Any
    """A value of the type that the form holds at first. The outcome tells what was changed of it. None: the form
    is empty."""
    evidence: Sequence[Shown]
    """What is shown beside the question, made by the functions of `hitl.evidence`; at most 32. None by default."""
    attempts: int
    """How often to ask, 1 to 10, while the data type's own validators refuse the answer. Each time is a question
    of its own, whose form holds the refused answer and says what is wrong with it. 1 by default."""


class EventOptions(Options, total=False):
    """What `new_event` takes besides its name and its type."""

    scope: EventScope
    """`"run"`, the only one there is, and the default."""
    prompt: str
    """The question, in Markdown; 1 to 16,384 characters. "Please provide a value" by default."""
    timeout_seconds: Seconds
    """Seconds until the deadline, over 0 and at most 366 days; or a `timedelta`. An hour by default."""
    poll_interval_seconds: Seconds
    """The longest pause between two looks at the storage, in seconds, over 0; or a `timedelta`. 5 seconds by
    default."""


class AskOptions(Options, total=False):
    """What `ask` takes besides the prompt and the type."""

    name: str
    """Shown to people; 1 to 128 characters. `"ask"` by default."""
    timeout_seconds: Seconds
    """As `new_event` takes it."""
    poll_interval_seconds: Seconds
    """As `new_event` takes it."""


class AnyOptions(Options, total=False):
    """What both take, with what decides on the type of the answer besides the data type."""

    multiple: bool
    """Whether several of the choices may be given. `wait` returns a list of them then. False by default."""
