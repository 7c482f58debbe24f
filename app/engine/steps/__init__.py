"""The kinds of step, one card of the palette a file."""
