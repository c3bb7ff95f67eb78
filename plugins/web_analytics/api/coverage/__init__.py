"""The coverage page: what each team, day and table holds."""
