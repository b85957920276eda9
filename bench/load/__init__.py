"""Load generators: wrk for the closed loop, our own for the open loop and for exact counts."""
