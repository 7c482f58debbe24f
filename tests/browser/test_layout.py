"""Every flow is drawn tidily: 900 random ones, laid out by the designer's own modules in one page of a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.browser.conftest import serve

pytestmark = pytest.mark.timeout(300)  # ten seconds on a quiet machine
FLOWS = (Path(__file__).parent / "random_flows.js").read_text()


def test_no_card_on_another_no_path_through_a_card_and_arms_in_order_also_when_folded(
    app: Flask, open_page: Any
) -> None:
    with serve(app) as url:
        page = open_page(f"{url}/sign-in")
        page.add_script_tag(url=f"{url}/static/vendor/dagre.min.js")
        found = page.evaluate(FLOWS, {"count": 900, "seed": 7})
    assert found["flows"] == 900
    assert found["faults"] == []
