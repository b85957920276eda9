"""The floors: what an answer costs at least at each layer that ours is built on."""
