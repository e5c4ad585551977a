"""Tests of the reading room as a person uses it: a screen, a mouse and a keyboard."""
