"""Rules that turn a number into a tier."""
