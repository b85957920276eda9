-- Streams: where a log is sent as it grows, and how far each has come. The log itself is their outbox.

CREATE TABLE audit_stream (
  id         uuid PRIMARY KEY,
  tenant_id  uuid NOT NULL,
  name       text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  kind       text NOT NULL CHECK (kind IN ('webhook', 'splunk', 'syslog')),
  content    text NOT NULL CHECK (content IN ('entries', 'checkpoints')),
  scope      text NOT NULL CHECK (scope IN ('platform', 'tenant', 'both', 'everything')),
  url        text NOT NULL,
  secret     bytea,
  status     text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused')),
  reason     text NOT NULL DEFAULT '' CHECK (reason IN ('', 'asked', 'failing', 'gone')),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (tenant_id, id),
  -- Only the instance's own streams reach over tenants.
  CHECK (scope <> 'everything' OR tenant_id = '00000000-0000-0000-0000-000000000000')
);

-- What changes with every batch stands apart from what an audit entry must tell of.
CREATE TABLE audit_stream_state (
  stream_id       uuid PRIMARY KEY,
  tenant_id       uuid NOT NULL,
  next_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  token           bigint NOT NULL DEFAULT 0,
  leased_until    timestamptz,
  delivered       bigint NOT NULL DEFAULT 0,
  failures        integer NOT NULL DEFAULT 0,
  failing_since   timestamptz,
  last_error      text NOT NULL DEFAULT '',
  last_success_at timestamptz,
  tested_at       timestamptz,
  test_outcome    text NOT NULL DEFAULT '',
  UNIQUE (tenant_id, stream_id)
);

-- The next place of each log that a stream has not delivered.
CREATE TABLE audit_stream_cursor (
  stream_id  uuid NOT NULL,
  log_id     uuid NOT NULL,
  tenant_id  uuid NOT NULL,
  next_index bigint NOT NULL CHECK (next_index >= 0),
  moved_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  noted_at   timestamptz,
  PRIMARY KEY (stream_id, log_id)
);
CREATE INDEX audit_stream_cursor_owner ON audit_stream_cursor (tenant_id, stream_id);

-- How each anchor of the instance fares; configured by settings, one row a name.
CREATE TABLE audit_anchor_state (
  name        text PRIMARY KEY,
  kind        text NOT NULL,
  log_id      uuid,
  size        bigint NOT NULL DEFAULT 0,
  anchored_at timestamptz,
  tried_at    timestamptz,
  next_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  failures    integer NOT NULL DEFAULT 0,
  last_error  text NOT NULL DEFAULT ''
);
CREATE INDEX audit_anchor_kind ON audit_anchor (log_id, kind, size);
