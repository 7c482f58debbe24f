"""Nordhafen, a made-up company that sells software for docks and yards: a year of life to look at and to try things on."""
