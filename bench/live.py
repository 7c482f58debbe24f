"""BARS S13, for a campaign with live counts: its pages over very many leads against the same over a thousand."""

from __future__ import annotations

import statistics
from pathlib import Path

import measuring
import populating
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import clock
from app.accounts import guards, signing_in
from app.accounts.models import User
from app.db import Database, micros
from tests.conftest import NOW, build

DAY, DAYS = 86_400_000_000, 300  # in which they came in, evenly
SECOND = 1_000_000
LEFT = (("w1", "out", 0, 2), ("d1", "", 2, 2), ("m1", "out", 2, 2), ("w2", "out", 2, 32), ("end", "end", 32, 32))
REACTED = (("email_opened", 3), ("email_clicked", 10))
PAGES = {
    "designer": "/campaigns/1",
    "figures of 7 days": "/campaigns/1/figures?period=7",
    "figures of all the time": "/campaigns/1/figures",
    "who is here": "/campaigns/1/steps/w2/leads",
    "who went a way": "/campaigns/1/steps/d1/leads?scope=left&port=a",
    "one lead's path": "/campaigns/1/passages/10",
}


def populate(database: Database, leads: int) -> None:
    """A tenth of the leads stand at the long wait, one in fifty left in between, the others came to the end."""
    populating.build(database, leads, 0)
    entered = f"{micros(NOW) - DAYS * DAY} + id * {DAYS * DAY // leads}"
    state = "CASE WHEN id % 10 = 0 THEN 'active' WHEN id % 50 = 1 THEN 'exited' ELSE 'completed' END"
    with database.writer.begin() as connection:
        run = lambda sql: connection.execute(sa.text(sql))  # noqa: E731
        run(
            f"UPDATE enrollments SET entered_at = {entered}, arrived_at = {entered} + {3 * DAY}, due_at = NULL, "
            f"step = CASE WHEN id % 10 = 0 THEN 'w2' ELSE 'end' END, state = {state}, visit = 5, "
            f"finished_at = CASE WHEN id % 10 = 0 THEN NULL ELSE {entered} + {33 * DAY} END"
        )
        for visit, (step, port, came, went) in enumerate(LEFT, 1):
            chosen = f"'{port}'" if port else "CASE WHEN id % 3 = 0 THEN 'else' ELSE 'a' END"
            past = "WHERE state <> 'active'" if went > 2 else ""
            run(
                "INSERT INTO decisions (enrollment_id, visit, version_id, step, port, arrived_at, at) SELECT id, "
                f"{visit}, version_id, '{step}', {chosen}, entered_at + {came * DAY}, "
                f"entered_at + {went * DAY + SECOND} FROM enrollments {past}"
            )
        run(
            "INSERT INTO messages (kind, purpose, priority, state, enrollment_id, visit, campaign_id, step, lead_id, mail_id, "
            "mail_version_id, topic_id, bucket, created_at, not_before, attempt, finished_at) SELECT 'mail', 'marketing', 5, "
            f"'sent', id, 3, campaign_id, 'm1', lead_id, 1, 1, 1, bucket, entered_at + {2 * DAY}, entered_at, 1, "
            f"entered_at + {2 * DAY} FROM enrollments"
        )
        for kind, one_in in REACTED:
            run(
                "INSERT INTO events (at, recorded_at, kind, subject, identity_id, agent, props, message_id, campaign_id, "
                f"is_new) SELECT created_at + {3600 * SECOND}, created_at, '{kind}', 'welcome', lead_id, 'human', "
                f"'{{}}', id, campaign_id, false FROM messages WHERE id % {one_in} = 0"
            )


def signed_in(database: Database, folder: Path) -> FlaskClient:
    app = build(database, folder)
    with database.write() as session:
        user = User(email="a@example.com", name="A", role="marketer", password_hash="-", zone="UTC", created_at=NOW)
        session.add(user)
        session.flush()
        token = signing_in.start(session, user.id, address="", browser="", at=clock.now())
    browser = app.test_client()
    with app.app_context():
        browser.set_cookie(guards.cookie_name(), token)
    return browser


def took(leads: int, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """The 95th percentile of each page, and how long its first showing took."""
    with measuring.folder() as folder:
        database = Database(f"sqlite:///{folder / 'trellis.sqlite'}")
        populate(database, leads)
        browser = signed_in(database, folder)
        first, usual = {}, {}
        for name, address in PAGES.items():
            with clock.at(NOW):
                first[name] = measuring.seconds(lambda address=address: browser.get(address))
                times = [measuring.seconds(lambda address=address: browser.get(address)) for _ in range(rounds)]
            usual[name] = statistics.quantiles(times, n=20)[-1]
        database.dispose()
    return usual, first


def main() -> None:
    full = measuring.arguments(__doc__ or "").full
    many, rounds = (1_000_000, 60) if full else (100_000, 40)
    few, _ = took(1_000, rounds)
    usual, first = took(many, rounds)
    figures = {f"{name}, p95 s": [round(few[name], 4), round(usual[name], 4)] for name in PAGES}
    counted = {f"{name}, counted s": round(first[name], 2) for name in PAGES if name.startswith("figures")}
    worst = max(usual[name] / few[name] for name in PAGES)
    measuring.say("S13 pages of a campaign with live counts", worst, leads=many, **figures, **counted)


if __name__ == "__main__":
    main()
