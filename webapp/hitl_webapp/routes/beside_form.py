"""A question's form as one visitor sees it: its evidence, its votes, and who answers on behalf of which person."""

from __future__ import annotations

from datetime import datetime

from hitl.core.delegation import can_be_handed_over, delegation_refusal, handed_over_by
from hitl.core.documents import RequestDocument
from hitl.core.tally import standing
from hitl.core.votes import voter_of
from hitl.records.votes import Ballots
from hitl_webapp import pages
from hitl_webapp.admission import Admitted
from hitl_webapp.checking import planned
from hitl_webapp.problems import BadInput
from hitl_webapp.service import Service


async def form_view(service: Service, admitted: Admitted, token: str, told: str = "") -> pages.FormView:
    """Return the form that a visitor sees before they type anything.

    Args:
        service: The web app's parts.
        admitted: The question and the visitor.
        token: The link's token; empty for a visitor who signed in.
        told: The result of what the visitor has just done, as sentences; empty: nothing.
    """
    await planned(admitted.request.document)
    view = pages.FormView(
        admitted.request.document,
        token=token,
        name=admitted.principal.name,
        person=admitted.principal.person,
        evidence=await service.evidence.beside(admitted),
    )
    return await _with_votes(service, admitted, view, told)


async def _with_votes(service: Service, admitted: Admitted, view: pages.FormView, told: str) -> pages.FormView:
    question, who = admitted.request.document, admitted.respondent("web")
    handed_over = who.verified and can_be_handed_over(question)
    if question.approval is None and not handed_over:
        return view
    ballots = await service.questions.ballots(admitted.request)
    now = await service.clock.rights_time(question)
    handing = _handing(admitted, ballots, now) if handed_over else pages.HANDED_TO_NOBODY
    found = standing(question, [each.vote for each in ballots.standing()])
    if found is None:
        return view._replace(handing=handing._replace(told=told))
    return view._replace(ballot=pages.Ballot(found, found.of(voter_of(who)), told), handing=handing)


def require_withdrawable(question: RequestDocument) -> None:
    """Refuse to withdraw what nobody can have said.

    Raises:
        BadInput: the question has no votes, and cannot be handed over.
    """
    if question.approval is None and not can_be_handed_over(question):
        raise BadInput("One person decides on this question, so there is no vote to withdraw.")


def _handing(admitted: Admitted, ballots: Ballots, now: datetime) -> pages.Handing:
    question, who = admitted.request.document, admitted.respondent("web")
    mine = handed_over_by(who, ballots.handed())
    acts = admitted.principal.acts
    return pages.Handing(
        to="" if mine is None else mine.delegation.to,
        used=mine is not None and mine.used,
        on_behalf_of="" if acts is None else acts.on_behalf_of,
        # The name is not known yet: what may be said of anybody.
        may=mine is None and not delegation_refusal(question, who, "somebody else", now),
    )
