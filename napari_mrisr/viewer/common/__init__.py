"""Base, fields, texts and background worker of the docks."""
