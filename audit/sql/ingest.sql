-- Entries of the tenants' own applications: declared actions, and ids that were recorded already.

CREATE TABLE audit_schema (
  id         uuid PRIMARY KEY,
  tenant_id  uuid NOT NULL,
  action     text NOT NULL,
  version    integer NOT NULL CHECK (version >= 1),
  template   text NOT NULL,
  schema     jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (tenant_id, action, version)
);

CREATE TABLE audit_ingest (
  tenant_id   uuid NOT NULL,
  external_id text NOT NULL,
  event_id    uuid NOT NULL,
  PRIMARY KEY (tenant_id, external_id)
);
