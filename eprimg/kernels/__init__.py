"""Arrays in, arrays out: no I/O, no metadata, no logging."""
