"""What may stand in a lead's field: every value from outside is cleaned and checked here, or refused in one sentence."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import available_timezones

import phonenumbers
from phonenumbers import timezone

from app.leads import locales

SHORT = 200
LONG = 2000
MOST_NUMBER = 1e15
YES = frozenset("yes y true 1 on x ja oui si sí sim ✓".split())
NO = frozenset("no n false 0 off nein non não".split())
LANGUAGES = {
    "english": "en", "german": "de", "deutsch": "de", "french": "fr", "français": "fr", "italian": "it", "italiano": "it",
    "spanish": "es", "español": "es", "portuguese": "pt", "português": "pt", "dutch": "nl", "nederlands": "nl",
    "polish": "pl", "swedish": "sv", "danish": "da", "norwegian": "no", "finnish": "fi", "czech": "cs",
}  # fmt: skip
COUNTRY_ALIASES = {"usa": "US", "uk": "GB", "england": "GB", "great britain": "GB", "czechia": "CZ", "holland": "NL"}
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_BREAKS = re.compile(r"\r\n?|[\u0085\u2028\u2029\v\f]")


class BadValue(ValueError):
    """A value that cannot be kept, with the one sentence that says why and what to write instead."""

    @property
    def sentence(self) -> str:
        return str(self.args[0])


def clean(text: str, *, lines: bool = False) -> str:
    """The text in NFC, without control and direction-changing characters, spaces squeezed; line ends only if wanted."""
    if text.isascii() and text.isprintable():  # nearly every value of a large import
        return " ".join(text.split())
    text = _BREAKS.sub("\n", unicodedata.normalize("NFC", text))
    kept = (c for c in text if c in "\n\t" or (c not in _BIDI and unicodedata.category(c) not in {"Cc", "Cs", "Cn"}))
    joined = "".join(kept)
    return joined.strip() if lines else " ".join(joined.split())


def parse(label: str, kind: str, given: Any, *, choices: Sequence[Any] = (), country: str = "") -> Any:
    """The value to store: text for the text kinds ("" when empty), else a number, a switch or an ISO date, or None."""
    if kind == "switch" and isinstance(given, bool):
        return given
    if kind == "number" and isinstance(given, (int, float)) and not isinstance(given, bool):
        return _whole(label, float(given))
    if isinstance(given, date):
        given = given.isoformat()[:10] if kind == "date" else given.isoformat()
    text = clean("" if given is None else str(given))
    if not text:
        return None if kind in {"number", "date", "switch", "zone"} else ""
    match kind:
        case "number":
            return _number(label, text)
        case "date":
            return _date(label, text)
        case "switch":
            return _switch(label, text)
        case "choice":
            return _choice(label, text, choices)
        case "country":
            return country_code(text)
        case "language":
            return _language(text)
        case "phone":
            return _phone(text, country)
        case "zone":
            return _zone(text)
    return limited(label, text, SHORT)


def limited(label: str, text: str, most: int) -> str:
    if len(text) > most:
        raise BadValue(f"{label} is longer than {most:,} characters; shorten it.")
    return text


def _number(label: str, text: str) -> int | float:
    plain = re.sub(r"[\s'’_]", "", text)
    if "," in plain and "." in plain:
        thousands = "," if plain.rfind(".") > plain.rfind(",") else "."
        plain = plain.replace(thousands, "").replace(",", ".")
    elif re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+", plain):
        plain = plain.replace(",", "")
    else:
        plain = plain.replace(",", ".")
    if not plain.isascii() or not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)", plain):
        raise BadValue(f"{label} is “{_short(text)}”, which is not a number.")
    return _whole(label, float(plain))


def _whole(label: str, value: float) -> int | float:
    if not math.isfinite(value) or abs(value) > MOST_NUMBER:
        raise BadValue(f"{label} is too large a number.")
    return int(value) if value == int(value) else value


def _date(label: str, text: str) -> str:
    parts = [int(p) for p in re.findall(r"\d+", text[:10])] if text[:10].isascii() else []
    if len(parts) == 3 and re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?", text):
        year, month, day = parts
    elif len(parts) == 3 and re.fullmatch(r"\d{1,2}\.\d{1,2}\.\d{4}", text):
        day, month, year = parts
    elif (
        len(parts) == 3
        and re.fullmatch(r"\d{1,2}/\d{1,2}/\d{4}", text)
        and (max(parts[:2]) > 12 or parts[0] == parts[1])
    ):
        day, month, year = (parts[0], parts[1], parts[2]) if parts[0] > 12 else (parts[1], parts[0], parts[2])
    else:
        raise BadValue(f"{label} is “{_short(text)}”; write a date as 2026-05-31.")
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        raise BadValue(f"{label} is “{_short(text)}”, a day that does not exist.") from None


def _switch(label: str, text: str) -> bool:
    if text.casefold() in YES | NO:
        return text.casefold() in YES
    raise BadValue(f"{label} is “{_short(text)}”; write yes or no.")


def _choice(label: str, text: str, choices: Sequence[Any]) -> str:
    for choice in choices:
        if str(choice).casefold() == text.casefold():
            return str(choice)
    offered = ", ".join(str(c) for c in choices[:8])
    raise BadValue(f"{label} is “{_short(text)}”; choose one of {offered}.")


@cache
def _country_names() -> dict[str, str]:
    """Casefolded country name in any language the phone library knows -> ISO code; English names win."""
    names: dict[str, str] = {}
    for code, by_language in locales.NAMES.items():
        for name in by_language.values():
            if not name.startswith("*"):
                names.setdefault(name.casefold(), code)
    return names | {country_name(code).casefold(): code for code in locales.NAMES} | COUNTRY_ALIASES


@cache
def country_name(code: str) -> str:
    """The English name of an ISO country code; the code itself when unknown."""
    names = locales.NAMES.get(code, {})
    name: str = names.get("en", code)
    return names.get(name[1:], code) if name.startswith("*") else name


@cache
def countries() -> tuple[tuple[str, str], ...]:
    """(code, English name) of every country, by name."""
    return tuple(sorted(((code, country_name(code)) for code in locales.NAMES), key=lambda pair: pair[1]))


def country_code(text: str) -> str:
    code = text.upper()
    if code in locales.NAMES:
        return code
    found = _country_names().get(text.casefold())
    if found is None:
        raise BadValue(f"Country is “{_short(text)}”; write an ISO code such as CH, or the English name.")
    return found


def _language(text: str) -> str:
    known = LANGUAGES.get(text.casefold())
    if known:
        return known
    if not re.fullmatch(r"[A-Za-z]{2,3}([-_][A-Za-z]{2,4})?", text):
        raise BadValue(f"Language is “{_short(text)}”; write a code such as de or pt-BR.")
    primary, _, rest = text.replace("_", "-").partition("-")
    return f"{primary.lower()}-{rest.upper() if len(rest) == 2 else rest.title()}" if rest else primary.lower()


def _phone(text: str, country: str) -> str:
    try:
        number = phonenumbers.parse(text, country or None)
        if phonenumbers.is_possible_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    except phonenumbers.NumberParseException:
        pass
    if len(text) > 40 or not sum(c.isdigit() for c in text) >= 3 or not re.fullmatch(r"[\d\s()+./#*x-]+", text):
        raise BadValue(f"Phone is “{_short(text)}”; write it as +41 44 555 01 23.")
    return text


def readable_phone(number: str) -> str:
    """A stored number with its usual spaces; what is not one stays as it is."""
    if not number.startswith("+"):
        return number
    try:
        return str(phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.INTERNATIONAL))
    except phonenumbers.NumberParseException:
        return number


@cache
def zones() -> frozenset[str]:
    return frozenset(
        z for z in available_timezones() if "/" in z and not z.startswith(("Etc/", "posix/", "right/"))
    ) | {"UTC"}


def _zone(text: str) -> str:
    if text in zones():
        return text
    for zone in zones():
        if zone.casefold() == text.replace(" ", "_").casefold():
            return zone
    raise BadValue(f"Time zone is “{_short(text)}”; write one of the tz database, such as Europe/Zurich.")


@cache
def _zones_of_countries() -> dict[str, str]:
    """Countries that have exactly one zone."""
    found: dict[str, list[str]] = {}
    table = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8")
    for line in table.splitlines():
        if line and not line.startswith("#"):
            code, _place, zone = line.split("\t")[:3]
            found.setdefault(code, []).append(zone)
    return {code: zones[0] for code, zones in found.items() if len(zones) == 1} | {"DE": "Europe/Berlin"}


def inferred_zone(country: str, phone: str) -> str | None:
    """The zone a country or a phone number implies, when it implies exactly one."""
    if country in _zones_of_countries():
        return _zones_of_countries()[country]
    if phone.startswith("+"):
        try:
            found = timezone.time_zones_for_number(phonenumbers.parse(phone))
        except phonenumbers.NumberParseException:
            return None
        if len(found) == 1 and found[0] in zones():
            return str(found[0])
    return None


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"
