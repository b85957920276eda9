"""The usual assembly: a multi-tenant key check as most Django teams would build it from packages."""
