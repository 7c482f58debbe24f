"""Where recipients reach us, for every test of mail."""

from __future__ import annotations

from app.mail import links

links.use("https://trellis.example.com")
