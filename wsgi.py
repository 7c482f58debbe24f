"""The WSGI entry: `flask --app wsgi …`, or any WSGI server pointed at `wsgi:app`."""

from __future__ import annotations

import sys

from app.factory import create_app
from config import BadSetting, Config

try:
    app = create_app(Config.from_environment())
except (BadSetting, RuntimeError) as error:
    sys.exit(f"Trellis cannot start. {error}")
