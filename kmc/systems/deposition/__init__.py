"""Lithium plated on a substrate, and stripped again: adatoms, islands, films, dead lithium."""
