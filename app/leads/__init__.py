"""People and companies, fields, tags, notes, importing, cleansing, merging, erasing."""
