"""One canonical form per mail address, so that a person known twice is found at once and a broken address never gets in."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from app.leads.values import BadValue, clean

LONGEST = 254


class BadAddress(BadValue):
    """An address that cannot receive mail."""


def canonical(text: str) -> str:
    """The form two spellings of one address share: NFC, lower case, the domain in ASCII; nothing else is guessed.

    Plus-tags and dots stay: they are other mailboxes for most servers, and we must mail what was given.
    """
    return _canonical(as_given(text))


def as_given(text: str) -> str:
    """The address as the person wrote it, without surrounding space and invisible characters."""
    return clean(text).removeprefix("mailto:")


@lru_cache(maxsize=4096)
def _canonical(given: str) -> str:
    if not given:
        raise BadAddress("The address is empty.")
    if len(given) > LONGEST:
        raise BadAddress(f"The address is longer than {LONGEST} characters.")
    try:
        found = validate_email(given, check_deliverability=False, strict=True, test_environment=True)
    except EmailNotValidError as error:
        shown = given if len(given) <= 60 else given[:57] + "…"
        raise BadAddress(f"“{shown}” is not a mail address: {_because(str(error))}") from None
    return unicodedata.normalize("NFC", found.local_part.lower()) + "@" + found.ascii_domain.lower()


def _because(reason: str) -> str:
    reason = reason.replace("email address", "address").replace("The address is not valid. ", "")
    return reason[:1].lower() + reason[1:].rstrip(".") + "."
