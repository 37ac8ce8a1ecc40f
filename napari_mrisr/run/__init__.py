"""Methods over volumes: whole runs, previews, outward fill."""
