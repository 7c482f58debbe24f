"""The one rule language: a rule tree as a SQL predicate and as an English sentence; who is a member."""
