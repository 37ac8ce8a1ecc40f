"""Methods over volumes: whole runs and previews."""
