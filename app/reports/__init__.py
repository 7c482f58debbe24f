"""Read-only questions over everything."""
