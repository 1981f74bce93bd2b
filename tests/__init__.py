"""The tests of Cleave that are written in Python."""
