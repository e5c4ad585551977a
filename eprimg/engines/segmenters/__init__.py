"""Segmentation engines."""
