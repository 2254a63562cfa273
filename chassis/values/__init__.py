"""Values that everything may use: e-mail addresses, languages, currencies, time zones, texts."""
