"""Properties of a scan: masks and traits."""
