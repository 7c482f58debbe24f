"""Users, roles, sign-in, API tokens, the organisation, the audit trail."""
