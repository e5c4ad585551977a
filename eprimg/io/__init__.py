"""The only rooms with doors to disk and network."""
