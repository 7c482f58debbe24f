"""Models, the points ledger, grades and tiers, stages."""
