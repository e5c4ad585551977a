"""Many studies: one child process each, on the workers of a Dask cluster; the truth is on disk."""
