"""How an entry becomes the bytes that are hashed, and personal data a commitment. Pure."""
