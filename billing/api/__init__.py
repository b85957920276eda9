"""The HTTP face of the app."""
