"""Addresses of mailboxes."""

from __future__ import annotations

import hashlib

from email_validator import EmailNotValidError, validate_email


def address_of(text: str) -> str | None:
    """Return a text as an address that every mail server takes, or None: it is none.

    The domain is in its ASCII form. A quoted local part, or one that is not ASCII, is not taken.
    """
    try:
        found = validate_email(text, allow_smtputf8=False, check_deliverability=False)
    except EmailNotValidError:
        return None
    return found.ascii_email


def mark_of(address: str) -> str:
    """Return a name for an address in keys and ids: 12 hexadecimal digits, the same for every spelling."""
    return hashlib.sha256(address.lower().encode()).hexdigest()[:12]
