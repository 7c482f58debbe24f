"""Composing, rendering, links, queueing, delivering, feedback; one file a transport."""
