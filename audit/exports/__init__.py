"""Takes logs out of the system: bundles that outside tools verify without it."""
