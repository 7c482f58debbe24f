"""Forms, landing pages, submissions, double opt-in."""
