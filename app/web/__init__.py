"""Everything HTTP that is nobody's business: htmx, a transaction per request, paging, errors, security headers."""
