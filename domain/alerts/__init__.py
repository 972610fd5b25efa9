"""Alerts: what is told once when it is reached, and again only after it was left behind."""
