"""Lesions under the reader's hand: table, tools, cut-offs, keys and the voxel inspector."""
