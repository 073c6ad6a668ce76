"""Findings in, something to look at out: the terminal, figures, and a report in one HTML file."""
