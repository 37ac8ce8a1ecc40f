"""Blinded reading: sessions, cases, unblinding."""
