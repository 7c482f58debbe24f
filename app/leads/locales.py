"""What countries are called in many languages.

The phone library keeps these names in a package that reads a quarter of a million place names when it is imported, 98 MB in each
process; the one file is read without the package around it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import phonenumbers


def _read() -> dict[str, dict[str, str]]:
    file = Path(phonenumbers.__file__).parent / "geodata" / "locale.py"
    spec = importlib.util.spec_from_file_location("phonenumbers.geodata.locale", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, dict[str, str]] = module.LOCALE_DATA
    return found


NAMES = _read()  # ISO code of a country -> language -> its name; "*en": as in that language
