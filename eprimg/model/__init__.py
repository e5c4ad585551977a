"""Frozen records of the house: no DICOM, no disk."""
