"""SEMANTICS 2, 3 and 5: waits and windows keep the lead's own clock, over both nights a year that have no plain hour."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.spans import Span
from app.engine.triggers.schedule import Schedule, last_run
from app.preferences.limits import Cap, Hours, Limits
from app.zones import holidays_of, instant, next_window, plus_days, plus_months, zone

ZURICH = zone("Europe/Zurich")
ZONES = st.sampled_from(sorted(available_timezones())).map(zone)
STARTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_rule_2_three_days_is_the_same_clock_time_over_the_spring_night() -> None:
    assert plus_days(at("2026-03-27T08:00+00:00"), 3, ZURICH) == at("2026-03-30T07:00+00:00")


def test_rule_3_an_hour_that_spring_skips_becomes_the_next_valid_minute() -> None:
    assert instant(datetime(2026, 3, 29, 2, 30), ZURICH) == at("2026-03-29T03:00+02:00")


def test_rule_3_an_hour_that_autumn_repeats_is_its_first_pass() -> None:
    assert instant(datetime(2026, 10, 25, 2, 30), ZURICH) == at("2026-10-25T02:30+02:00")


def test_rule_5_until_saturday_quarter_past_three() -> None:
    def until(start: str) -> datetime:
        return next_window(at(start), ZURICH, [5], time(15, 15), None)

    assert until("2026-03-07T10:00+01:00") == at("2026-03-07T15:15+01:00")
    assert until("2026-03-07T15:15+01:00") == at("2026-03-07T15:15+01:00")
    assert until("2026-03-07T16:00+01:00") == at("2026-03-14T15:15+01:00")


def test_rule_5_inside_a_window_nobody_waits_and_holidays_are_closed() -> None:
    office = {"weekdays": [0, 1, 2, 3, 4], "opens": time(9), "closes": time(17)}
    assert next_window(at("2026-03-04T11:11+01:00"), ZURICH, **office) == at("2026-03-04T11:11+01:00")
    assert next_window(at("2026-03-06T17:00+01:00"), ZURICH, **office) == at("2026-03-09T09:00+01:00")
    closed = next_window(at("2026-03-06T17:00+01:00"), ZURICH, **office, holidays=[date(2026, 3, 9)])
    assert closed == at("2026-03-10T09:00+01:00")


def test_rule_5_a_window_may_cross_midnight() -> None:
    night = {"weekdays": [4], "opens": time(22), "closes": time(6)}
    assert next_window(at("2026-03-07T01:00+01:00"), ZURICH, **night) == at("2026-03-07T01:00+01:00")
    assert next_window(at("2026-03-07T06:00+01:00"), ZURICH, **night) == at("2026-03-13T22:00+01:00")


def test_a_month_after_the_31st_is_the_last_day() -> None:
    assert plus_months(at("2026-01-31T10:00+01:00"), 1, ZURICH) == at("2026-02-28T10:00+01:00")


@given(ZONES, STARTS, st.integers(1, 400))
def test_rule_2_a_wait_never_ends_before_it_began_and_is_about_as_long_as_it_says(tz, start, days) -> None:
    end = plus_days(start, days, tz)
    assert abs((end - start) - timedelta(days=days)) <= timedelta(hours=25)
    assert end > start


@given(ZONES, STARTS, st.sets(st.integers(0, 6), min_size=1), st.times(), st.one_of(st.none(), st.times()))
def test_rule_5_a_window_is_never_past_and_is_reached_at_most_once(tz, start, weekdays, opens, closes) -> None:
    opens = opens.replace(second=0, microsecond=0, fold=0)
    closes = closes and closes.replace(second=0, microsecond=0, fold=0)
    found = next_window(start, tz, weekdays, opens, closes)
    assert found >= start
    assert next_window(found, tz, weekdays, opens, closes) == found


COUNTRIES = st.sampled_from(
    [("CH", "ZH"), ("DE", "BY"), ("US", ""), ("JP", ""), ("BR", "SP"), ("XX", ""), ("CH", "??")]
)


@settings(deadline=None)  # the first question for a country reads its calendar
@given(ZONES, STARTS, COUNTRIES, st.times(), st.times())
def test_rule_5_a_window_with_holidays_opens_on_no_holiday_of_the_place(tz, start, place, opens, closes) -> None:
    closed = holidays_of(*place, start.year)
    times = [t.replace(second=0, microsecond=0, fold=0) for t in (opens, closes)]
    found = next_window(start, tz, [0, 1, 2, 3, 4], *times, closed)
    local = found.astimezone(tz)
    days = {local.date(), local.date() - timedelta(days=1)} if times[1] <= times[0] else {local.date()}
    if (
        instant(datetime.combine(local.date(), times[0]), tz).astimezone(tz).date() == local.date()
    ):  # no gap at midnight
        assert any(day not in closed and day.weekday() < 5 for day in days)
    assert found >= start
    assert next_window(found, tz, [0, 1, 2, 3, 4], *times, closed) == found


NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)
ALL = sorted(available_timezones())


@lru_cache
def all_edges() -> list[tuple[str, datetime]]:
    """Every zone with every instant of ten years at which its clock jumps; of zones that keep the same time one is enough."""
    alike = {(tuple(edges(zone(name))), NEW_YEAR.astimezone(zone(name)).utcoffset()): name for name in ALL}
    return [(name, edge) for (jumps, _), name in alike.items() for edge in jumps]


def is_there(local: datetime, tz: ZoneInfo) -> bool:
    """Whether the clock shows this time on that day."""
    return local.replace(tzinfo=tz).astimezone(UTC).astimezone(tz).replace(tzinfo=None) == local


def test_rule_2_at_both_edges_of_ten_years_in_every_zone_a_wait_ends_at_the_same_clock_time() -> None:
    for name, edge in all_edges():
        tz = zone(name)
        for before in range(-2, 27, 4):
            start = edge - timedelta(hours=before, minutes=30)
            end = plus_days(start, 1, tz)
            wanted = start.astimezone(tz).replace(tzinfo=None) + timedelta(days=1)
            assert end > start, (name, start)
            shown = end.astimezone(tz).replace(tzinfo=None)
            if is_there(wanted, tz):
                assert shown == wanted and end == wanted.replace(tzinfo=tz, fold=0), (name, start)
            else:
                assert wanted < shown <= wanted + timedelta(hours=2), (name, start)


def test_rule_12_at_both_edges_of_ten_years_in_every_zone_a_schedule_runs_once_a_day() -> None:
    for name, edge in all_edges():
        settings = Schedule(segment="a", cron="30 2 * * *", zone=name)
        tz, looks = zone(name), [edge + timedelta(hours=5 * n) for n in range(-8, 9)]
        spans = [Span(after, until, "UTC") for after, until in pairwise(looks)]
        runs = [run for span in spans if (run := last_run(settings, span)) is not None]
        days = [run.astimezone(tz).date() for run in runs]
        assert days == [days[0] + timedelta(days=n) for n in range(len(days))] and len(days) in (3, 4), (name, edge)
        for run in runs:
            wanted = datetime.combine(run.astimezone(tz).date(), time(2, 30))
            assert run == instant(wanted, tz), (name, edge)


def test_rule_21_at_both_edges_of_ten_years_in_every_zone_quiet_hours_end_on_the_same_night() -> None:
    open_hours = Limits(hours=(Hours(tuple(range(7)), time(2, 30), time(22, 0)),))
    for name, edge in all_edges():
        tz = zone(name)
        for before in range(-3, 24, 3):
            at_ = edge - timedelta(hours=before)
            leaves = open_hours.turn(name, at_, None).leaves_at
            assert at_ <= leaves <= at_ + timedelta(hours=6, minutes=30), (name, at_)
            day = leaves.astimezone(tz).date()
            opens, closes = (instant(datetime.combine(day, each), tz) for each in (time(2, 30), time(22, 0)))
            assert opens <= leaves < closes, (name, at_)
            assert open_hours.turn(name, leaves, None).leaves_at == leaves, (name, at_)


def test_rule_20_at_both_edges_of_ten_years_in_every_zone_a_day_week_and_month_begin_where_the_last_ended() -> None:
    for name, edge in all_edges():
        tz = zone(name)
        for period in ("day", "week", "month"):
            cap = Cap(1, period, 1, None)
            for hours in (-30, -1, 0, 1, 30):
                at_ = edge + timedelta(hours=hours)
                start, end = cap.turn(at_, tz)
                assert end is not None and start <= at_ < end, (name, at_, period)
                assert cap.turn(end, tz)[0] == end, (name, at_, period)


def test_rule_5_at_both_edges_of_ten_years_in_every_zone_a_window_opens_once_and_in_time() -> None:
    for name, edge in all_edges():
        for opens in (time(1, 30), time(2, 30)):
            start = edge - timedelta(hours=12)
            found = next_window(start, zone(name), range(7), opens, None)
            after = next_window(found + timedelta(seconds=1), zone(name), range(7), opens, None)
            assert start <= found <= start + timedelta(hours=27), (name, edge)
            assert timedelta(hours=20) <= after - found <= timedelta(hours=28), (name, edge)


def edges(tz: ZoneInfo) -> list[datetime]:
    """The instants from 2025 to 2034 at which the zone's clock jumps, to the hour."""
    found, day = [], NEW_YEAR
    while day.year < 2035:
        following = day + timedelta(days=14)
        if tz.utcoffset(day.astimezone(tz)) != tz.utcoffset(following.astimezone(tz)):
            early = day
            while tz.utcoffset((early + timedelta(hours=1)).astimezone(tz)) == tz.utcoffset(day.astimezone(tz)):
                early += timedelta(hours=1)
            found.append(early)
        day = following
    return found
