"""The C2SP formats, byte for byte: signed notes, checkpoints, tiles and offline proofs. Pure."""
