"""Adapters to third-party programs, behind entry points, one file each."""
