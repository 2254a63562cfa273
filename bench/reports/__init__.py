"""The report: table, HTML and plots."""
