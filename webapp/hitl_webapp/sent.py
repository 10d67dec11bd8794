"""A form as it was sent: what it means for its question, and what is wrong with it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from hitl.core.documents import RequestDocument, Respondent
from hitl.core.forms import MISSING, ROOT, PartFault, read
from hitl.core.forms.held import initial, sent_back
from hitl.core.forms.moments import canonical
from hitl.core.forms.places import whole_faults
from hitl.core.limits import MAX_COMMENT_CHARS
from hitl.core.submissions import split_token
from hitl.core.text import is_blank
from hitl.core.values import format_value
from hitl.core.votes import needs_comment
from hitl.errors import InvalidValue, printable
from hitl.records.submissions import Submission, new_submission_id
from hitl_webapp.admission import Address
from hitl_webapp.bodies import Form, read_form
from hitl_webapp.fields import chosen, field_for, searched
from hitl_webapp.pages import Fault
from hitl_webapp.parts import form_of
from hitl_webapp.problems import BadInput
from hitl_webapp.sentences import what_fits

if TYPE_CHECKING:
    from hitl.core.schema.work import Work

ANSWERS_AS_WELL: Final = "You gave an answer and declined as well: send the answer, or decline without one."
_MAX_NAME_CHARS: Final = 256
# The last one is what other forms call such a button.
_REJECTS: Final = frozenset(("1", "true", "yes", "on", "reject"))


class SentForm(NamedTuple):
    """A form as it was sent.

    Args:
        address: The question, and the link.
        response_path: As the form has it, without a token.
        submission: What would be recorded, but for who sends it. Its value is what was typed.
        name: What the visitor calls themselves.
        step: ``decline``, ``delegate`` or ``back``, when it leads to another form and submits nothing;
            ``withdraw`` or ``hand-over``.
        choice: An answer by its place among the choices, as `fields.Field.posted` writes it.
        kept: An answer that was left for the form of declining, written like `choice` or `value`.
        parts: An answer in parts, see `hitl.core.forms`.
        wrong: What is wrong with some of them.
        to: Who the question is handed over to.
    """

    address: Address
    response_path: str
    submission: Submission
    name: str
    step: str
    choice: str
    kept: str
    parts: Mapping[str, list[str]] = MappingProxyType({})
    wrong: tuple[PartFault, ...] = ()
    to: str = ""

    @property
    def value(self) -> str:
        """The answer, as it was typed."""
        return str(self.submission.value)

    @property
    def declines(self) -> bool:
        """Whether it declines to answer."""
        return self.submission.outcome == "rejected"

    def resolved(self, question: RequestDocument, work: "Work | None" = None) -> "SentForm":
        """Return the form with the answer that it means, which may have been sent by its place among the choices.

        Args:
            question: The question.
            work: What reading an answer in parts may cost; None: what every check may.

        Raises:
            BadInput: it could mean two answers.
        """
        if self.parts and not self.declines:
            return self._of_parts(question, work)
        first = initial(question)
        if first is not None and question.data_type == "str" and self.value == sent_back(first):
            # Who left it untouched means what was filled in.
            return self._replace(submission=replace(self.submission, value=first))
        field = field_for(question)
        if not self.choice and field.widget == "search" and self.value not in field.choices:
            return self._replace(submission=replace(self.submission, value=searched(question, self.value)))
        if field.exact and not self.choice:
            # A phone's keyboard adds a blank after what it completes.
            plain = self.value.strip()
            with suppress(InvalidValue):
                plain = canonical(field.kind, plain) if field.kind else plain
            return self._replace(submission=replace(self.submission, value=plain))
        if not self.choice:
            return self
        if self.value or not field.by_index:
            raise BadInput(
                "The form's field choice stands for an answer of this question's list, instead of a value."
            )
        return self._replace(submission=replace(self.submission, value=chosen(question, self.choice)))

    def _of_parts(self, question: RequestDocument, work: "Work | None") -> "SentForm":
        part = form_of(question, work)
        if part is None or self.value or self.choice:
            raise BadInput("The form's fields are not those of this question, or it holds two answers.")
        value, wrong = read(part, self.parts, work=work)
        if wrong or value is MISSING:
            return self._replace(wrong=tuple(wrong) or (PartFault(ROOT, "An answer is needed."),))
        return self._replace(submission=replace(self.submission, value=format_value("json", value)))

    def placed(self, question: RequestDocument, error: InvalidValue, work: "Work | None" = None) -> "SentForm":
        """Return the form with the faults of an answer in parts, each at its part.

        Args:
            question: The question.
            error: What its schema refuses of the answer.
            work: What finding the parts may cost; None: what every check may.
        """
        part = form_of(question, work)
        if not self.parts or self.wrong or part is None or self.declines or not error.details:
            return self
        found = whole_faults(part, self.parts, question.json_schema or {}, json.loads(self.value), error, work)
        return self._replace(wrong=tuple(found))

    def typed(self, question: RequestDocument) -> dict[str, str]:
        """Return what was typed, with the answer that the form of declining keeps for the way back."""
        kept = chosen(question, self.kept) if field_for(question).by_index else self.kept
        return {
            "value": self.value or kept,
            "comment": self.submission.comment,
            "name": self.name,
            "to": self.to,
        }

    def fault(self, *, named: bool) -> Fault | None:
        """Return what is wrong with the form before anybody looks at the answer itself.

        Args:
            named: The visitor's name is verified, so that the typed one does not count.
        """
        comment, name = self.submission.comment, self.name.strip()
        if self.wrong:
            count = len({each.name for each in self.wrong})
            return Fault(
                "parts", f"{count} fields need another look." if count > 1 else "One field needs another look."
            )
        if self.declines and self.value.strip():
            return Fault("value", ANSWERS_AS_WELL)
        if self.declines and is_blank(comment):
            return Fault("comment", "A reason is needed: write why you decline to answer.")
        if len(comment) > MAX_COMMENT_CHARS:
            what = "reason" if self.declines else "comment"
            return Fault(
                "comment",
                f"The {what} has {len(comment):,} characters: shorten it to at most {MAX_COMMENT_CHARS:,}.",
            )
        if not named and (len(name) > _MAX_NAME_CHARS or printable(name) != name or "\t" in name):
            return Fault(
                "name",
                f"The name has more than {_MAX_NAME_CHARS} characters, or some that cannot be printed: shorten it "
                "or type it again.",
            )
        return None

    def lacks_comment(self, question: RequestDocument) -> Fault | None:
        """Return what is wrong with a form without a comment, where each vote needs one."""
        if not needs_comment(question.approval, declines=self.declines) or not is_blank(self.submission.comment):
            return None
        return Fault("comment", "A comment is needed: write why you decide like this.")

    def recordable_name(self) -> str:
        """Return the typed name. Too long a one is refused before it could be recorded."""
        return self.name.strip()[:_MAX_NAME_CHARS]


async def read_sent_form(content_type: str, body: bytes) -> SentForm:
    """Read a form.

    Raises:
        WrongMediaType, BadInput: saying what is wrong with it.
    """
    sent = await read_form(content_type, body)
    if not sent.fields.get("request_id"):
        raise BadInput("The form names no request_id.")
    return sent_form(sent)


def sent_form(sent: Form) -> SentForm:
    """Return what a form holds. One for several questions names none of them.

    Raises:
        BadInput: it may decline, or not.
    """
    form = sent.fields
    path, token_in_path = split_token(form.get("response_path", ""))
    # Browsers send line ends as CR LF; what was typed has LF.
    value, comment, name = (form.get(each, "").replace("\r\n", "\n") for each in ("value", "comment", "name"))
    return SentForm(
        address=Address(form.get("request_id", ""), form.get("token", "") or token_in_path),
        response_path=path,
        submission=Submission(
            outcome="rejected" if _rejects(form) else "answered",
            respondent=Respondent(via="web"),
            value=value,
            comment=comment,
            submission_id=form.get("submission_id", "")[:128] or new_submission_id(),
        ),
        name=name,
        step=form.get("step", ""),
        choice=form.get("choice", ""),
        kept=form.get("kept", ""),
        # Browsers send line ends as CR LF; what was typed has LF.
        parts={name: [text.replace("\r\n", "\n") for text in texts] for name, texts in sent.parts.items()},
        to=form.get("to", "").strip(),
    )


def value_fault(question: RequestDocument, typed: str, error: InvalidValue) -> Fault:
    """Return what is wrong with an answer, as what to enter wherever that can be said."""
    sentence, details = what_fits(question, typed, error)
    return Fault("value", sentence, details)


def _rejects(form: dict[str, str]) -> bool:
    # What may be cut off, or says no in any language, is not guessed at.
    if "reject" not in form:
        return False
    if form["reject"].strip().lower() not in _REJECTS:
        raise BadInput("The form's field reject is 1, or is left out: nothing was recorded.")
    return True
