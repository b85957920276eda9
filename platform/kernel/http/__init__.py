"""HTTP: request context, problem documents, endpoints, pagination, rendering."""
