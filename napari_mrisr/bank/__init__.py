"""Filter banks: hashing, stages and filters, files, calibration."""
