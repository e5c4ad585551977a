"""Registration engines."""
