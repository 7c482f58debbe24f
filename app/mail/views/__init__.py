"""The pages of mail: the list and the editor, the mailbox, the outbox, and what recipients reach by the links in a mail."""

from __future__ import annotations

from app.mail.views import choosing, delivery, editor, mailbox, outbox, pages, proofs, recipients
from app.mail.views.rooms import blueprint

__all__ = ["blueprints", "choosing", "delivery", "editor", "mailbox", "outbox", "pages", "proofs", "recipients"]

blueprints = (blueprint, editor.blueprint, recipients.blueprint)
