"""Pages about signing in, one's own account, users, tokens, the organisation and the audit trail."""

from app.accounts.views import organisation, people, profile, signing, tokens
from app.accounts.views.blueprint import blueprint

blueprints = (blueprint,)

__all__ = ["blueprints", "organisation", "people", "profile", "signing", "tokens"]
