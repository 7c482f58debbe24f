"""The event log: recording, visitors and identity, links, pixel, script, bots, queries."""
