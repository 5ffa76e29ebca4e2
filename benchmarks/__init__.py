"""The comparison: detectors and judges over the same pairs, from the flags to the report."""
