"""REST v1 over the same domain functions."""
