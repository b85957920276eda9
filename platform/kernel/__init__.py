"""The shared kernel: tenancy, permissions, the gate, ports, events, jobs and HTTP. It knows no business noun."""
