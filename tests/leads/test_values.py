"""Values are read in many tongues, and what is not needed for it stays out of memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.leads import values
from tests.conftest import ROOT


@pytest.mark.parametrize("text", ["CH", "ch", "Switzerland", "schweiz", "Suisse", "Svizzera"])
def test_a_country_is_known_by_its_code_and_its_name_in_any_language(text: str) -> None:
    assert values.country_code(text) == "CH"
    assert values.country_name("CH") == "Switzerland"


def test_the_place_names_of_the_phone_library_are_not_read() -> None:
    asked = "import sys; from app.leads import values; values.inferred_zone('', '+41443640000'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "phonenumbers.geodata" not in done.stdout.split()
