"""The designer: drafting, checking, publishing, statistics, flows as text."""
