"""Guesses which column of a file is which field, from its name in several languages and from what stands in it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from rapidfuzz import fuzz

from app.leads.addresses import BadAddress, canonical
from app.leads.models import LeadField

# What a file may say about a lead besides its fields.
EXTRA: dict[str, str] = {
    "full_name": "Full name",
    "company_domain": "Company domain",
    "company_industry": "Company industry",
    "company_size": "Company size",
    "tags": "Tags, separated by commas",
    "owner": "Owner (a user's address)",
}
ALIASES: dict[str, str] = {
    "email": "email, e-mail, mail, email address, e-mail address, mail address, work email, business email, e-mail-adresse, emailadresse, mailadresse, adresse e-mail, adresse email, courriel, correo, correo electronico, indirizzo email, posta elettronica, e-mailadres",
    "first_name": "first name, firstname, given name, forename, vorname, rufname, prenom, nome, nombre, voornaam, imie",
    "last_name": "last name, lastname, surname, family name, nachname, familienname, nom, nom de famille, cognome, apellido, apellidos, achternaam, nazwisko",
    "full_name": "name, full name, fullname, contact, contact name, contact person, kontakt, ansprechpartner, nom complet, nombre completo, nome completo, naam",
    "job_title": "job title, title, position, role, job, function, funktion, titel, stelle, berufsbezeichnung, fonction, poste, cargo, puesto, ruolo, qualifica, functie",
    "phone": "phone, phone number, telephone, tel, mobile, mobile phone, cell, telefon, telefonnummer, handy, mobil, mobiltelefon, telephone portable, telefono, telefoon",
    "company_name": "company, company name, organisation, organization, account, account name, employer, firma, unternehmen, firmenname, societe, entreprise, empresa, azienda, societa, bedrijf",
    "country": "country, country code, land, pays, pais, paese, nation, staat",
    "city": "city, town, place, ort, stadt, wohnort, ville, ciudad, citta, plaats",
    "language": "language, lang, locale, sprache, langue, idioma, lingua, taal",
    "zone": "time zone, timezone, tz, zeitzone, fuseau horaire, zona horaria, fuso orario",
    "company_domain": "domain, website, company domain, web, url, homepage, webseite, site web, sitio web, sito web",
    "company_industry": "industry, sector, branche, secteur, sector, settore, industrie",
    "company_size": "employees, number of employees, company size, headcount, size, mitarbeiter, mitarbeiterzahl, anzahl mitarbeiter, effectif, empleados, dipendenti",
    "tags": "tags, tag, labels, label, keywords, schlagworte, etiquettes, etiquetas",
    "owner": "owner, account owner, lead owner, sales rep, besitzer, betreuer, zustandig, responsable, proprietario",
}  # fmt: skip
GOOD = 88.0
SHARE = 0.6


def mapping(columns: Sequence[str], samples: Sequence[Sequence[str]], known: Mapping[str, LeadField]) -> dict[str, str]:
    """column -> field, "" where none fits; every field once."""
    wanted = {field: [_plain(a) for a in names.split(",")] for field, names in ALIASES.items()}
    wanted |= {name: [_plain(field.label), _plain(name)] for name, field in known.items()}
    scored = sorted(
        (
            (_likeness(column, names), -place, field)
            for place, column in enumerate(columns)
            for field, names in wanted.items()
        ),
        reverse=True,
    )
    chosen: dict[int, str] = {}
    address = _address_column(columns, samples)
    if address is not None:
        chosen[address] = "email"
    for score, place, field in scored:
        if score >= GOOD and -place not in chosen and field not in chosen.values():
            chosen[-place] = field
    if {"first_name", "last_name"} <= set(chosen.values()):
        chosen = {place: field for place, field in chosen.items() if field != "full_name"}
    return {column: chosen.get(place, "") for place, column in enumerate(columns)}


def _likeness(column: str, names: Sequence[str]) -> float:
    plain = _plain(column)
    if plain in names:
        return 101.0
    return max((fuzz.ratio(plain, name) for name in names if len(name) > 4), default=0.0)


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in letters if c.isalnum())


def _address_column(columns: Sequence[str], samples: Sequence[Sequence[str]]) -> int | None:
    """The column most of whose cells are addresses; the first of those, unless another is called so."""
    shares = []
    for place in range(len(columns)):
        cells = [row[place].strip() for row in samples if place < len(row) and row[place].strip()]
        hits = sum(1 for cell in cells if _is_address(cell))
        if cells and hits / len(cells) >= SHARE:
            shares.append(place)
    named = [place for place in shares if _plain(columns[place]) in {_plain(a) for a in ALIASES["email"].split(",")}]
    owner = [
        place for place in shares if _plain(columns[place]) not in {_plain(a) for a in ALIASES["owner"].split(",")}
    ]
    return next(iter(named or owner), None)


def _is_address(text: str) -> bool:
    if "@" not in text:
        return False
    try:
        canonical(text)
    except BadAddress:
        return False
    return True
