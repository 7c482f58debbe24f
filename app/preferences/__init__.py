"""Consent, topics, unsubscribe, frequency caps, suppression, the recipient's own pages."""
