"""The draft of each campaign: what marketers draw, saved as they draw it, apart from what is published."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Ref


class Draft(Base):
    __tablename__ = "drafts"

    campaign_id: Mapped[Ref] = mapped_column(sa.ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True)
    flow: Mapped[dict[str, Any]]
    revision: Mapped[int] = mapped_column(default=1)  # an edit names the revision it saw; another one is a conflict
    updated_at: Mapped[datetime]
    updated_by: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
