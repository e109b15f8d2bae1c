"""All pictures; matplotlib is imported here and nowhere else. Imports every package but `cli`."""
