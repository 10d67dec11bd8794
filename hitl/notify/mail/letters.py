"""Mails: what they say, as text and as HTML with the same words. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from typing import Final

from hitl.notify.channels import Message
from hitl.notify.mail.addresses import mark_of
from hitl.notify.mail.target import MailTarget
from hitl.notify.words import TEST, Part, line_of, several, subject_of, text_of, verb_of, way_of, words_of

_SAFE_ID: Final = re.compile("[^A-Za-z0-9_-]")
_FONT: Final = (
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif;font-size:16px;line-height:1.5"
)
_PROMPT: Final = (
    "margin:16px 0;padding:0 0 0 12px;border-left:3px solid #888;white-space:pre-wrap;word-wrap:break-word"
)
_BUTTON: Final = (
    "display:inline-block;padding:10px 18px;border-radius:6px;"
    "background:#0b57d0;color:#ffffff;text-decoration:none"
)
_SMALL: Final = "font-size:13px;color:#666"


def letter(
    target: MailTarget, person: str, message: Message, parts: Sequence[Part], now: datetime
) -> EmailMessage:
    """Return a mail.

    Args:
        target: Who sends it.
        person: The address that it goes to.
        message: What is told: a digest has one part for each question.
        parts: What it says; none: it is a test.
        now: The present moment, with a time zone.
    """
    mail = EmailMessage(policy=SMTP)
    first = message.receipts.get("asked", "")
    mail["From"] = Address("HITL", addr_spec=target.sender)
    mail["To"] = Address(addr_spec=person)
    mail["Subject"] = f"{'Re: ' if first else ''}{subject_of(message)}"
    mail["Date"] = now
    mail["Message-ID"] = message_id(target, person, message.id)
    if first:
        mail["In-Reply-To"] = mail["References"] = message_id(target, person, first)
    mail["List-Id"] = f"<{target.name}.hitl.{target.domain}>"
    # So that out-of-office replies do not answer it.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(_text(person, parts))
    mail.add_alternative(_html(person, parts), subtype="html")
    return mail


def message_id(target: MailTarget, person: str, notice_id: str) -> str:
    """Return a mail's id: the same at each try, and for no other notice or person."""
    return f"<{_SAFE_ID.sub('-', notice_id)}.{mark_of(person)}@{target.domain}>"


def _text(person: str, parts: Sequence[Part]) -> str:
    return "\n\n".join([text_of(parts), *_notes(person, parts)]) + "\n"


def _html(person: str, parts: Sequence[Part]) -> str:
    if not parts:
        body = f"<p>{TEST}</p>"
    elif len(parts) == 1:
        body = _html_of(parts[0])
    else:
        rows = "".join(f'<li style="margin:0 0 12px">{_html_listed(each)}</li>' for each in parts)
        body = f'<p>{several(parts)}</p><ul style="padding-left:20px">{rows}</ul>'
    notes = "".join(f'<p style="{_SMALL}">{escape(each)}</p>' for each in _notes(person, parts))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
        f'<body style="margin:0;padding:16px;{_FONT}"><div style="max-width:640px">{body}{notes}</div></body>'
        "</html>"
    )


def _html_of(part: Part) -> str:
    words = words_of(part.message, part.question)
    facts = "".join(f"<br>{escape(name)}: {escape(text)}" for name, text in words.facts)
    way = f'<p><a href="{escape(part.url)}" style="{_BUTTON}">{verb_of(part)}</a></p>' if part.url else ""
    return (
        f"<p>{escape(words.heading)}</p>"
        f'<p dir="auto"><strong>{escape(words.title)}</strong></p>'
        f'<div dir="auto" style="{_PROMPT}">{escape(words.prompt)}</div>'
        f"<p>{facts.removeprefix('<br>')}</p>{way}{_html_address(part)}"
    )


def _html_address(part: Part) -> str:
    # Readers without buttons need the address, and the others see where a button leads.
    shown = escape(part.url)
    return (
        f'<p style="{_SMALL};word-break:break-all">{verb_of(part)}: {shown}</p>'
        if part.url
        else f"<p>{way_of(part)}</p>"
    )


def _html_listed(part: Part) -> str:
    link = f'<br><a href="{escape(part.url)}">{verb_of(part)}</a>' if part.url else ""
    return f'<span dir="auto">{escape(line_of(part))}</span>{link}'


def _notes(person: str, parts: Sequence[Part]) -> list[str]:
    if any(each.personal for each in parts):
        return [
            f"Links in this mail are for {person} alone: everyone who has one can answer in your name. "
            "Do not pass this mail on."
        ]
    return []
