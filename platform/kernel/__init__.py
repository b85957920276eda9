"""The shared kernel: tenancy, permissions, gate, ports, events, jobs, HTTP; no business noun."""
