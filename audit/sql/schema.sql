-- The sealed log. Append-only everywhere except audit_head and audit_sealer_state (the sealer's own
-- position) and audit_pii (erasable). No foreign keys to other apps: the log outlives what it tells of.
-- Design: docs/audit.md. Tenant 00000000-0000-0000-0000-000000000000 is the instance itself.

CREATE TABLE audit_event (
  id           uuid NOT NULL,
  tenant_id    uuid NOT NULL,
  stream       smallint NOT NULL CHECK (stream IN (0, 1)),
  xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
  seq          bigint NOT NULL GENERATED ALWAYS AS IDENTITY (CACHE 1),
  recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  occurred_at  timestamptz NOT NULL,
  action       text NOT NULL,
  actor_type   text NOT NULL,
  actor_id     text NOT NULL,
  on_behalf_of text NOT NULL,
  target_type  text NOT NULL,
  target_id    text NOT NULL,
  outcome      text NOT NULL CHECK (outcome IN ('success', 'denied', 'failed')),
  request_id   text NOT NULL,
  leaf         bytea NOT NULL CHECK (octet_length(leaf) BETWEEN 2 AND 65535),
  leaf_hash    bytea NOT NULL GENERATED ALWAYS AS (sha256('\x00'::bytea || leaf)) STORED,
  -- id first: the same uniqueness, and it serves lookups by id and the operator's newest-first list
  PRIMARY KEY (id, recorded_at)
) PARTITION BY RANGE (recorded_at);
CREATE INDEX audit_event_xid ON audit_event (xid);
CREATE INDEX audit_event_tenant ON audit_event (tenant_id, id);
CREATE INDEX audit_event_actor ON audit_event (tenant_id, actor_id, id);
CREATE INDEX audit_event_target ON audit_event (tenant_id, target_id, id);
CREATE INDEX audit_event_action ON audit_event (tenant_id, action, id);

-- Openings of the commitments of one person in one entry: {leaf path: [salt in hex, value]}.
CREATE TABLE audit_pii (
  event_id   uuid NOT NULL,
  subject_id text NOT NULL,
  tenant_id  uuid NOT NULL,
  doc        jsonb NOT NULL,
  PRIMARY KEY (event_id, subject_id)
);
CREATE INDEX audit_pii_subject ON audit_pii (tenant_id, subject_id);

-- Changes too large for a leaf; the leaf holds their SHA-256.
CREATE TABLE audit_blob (
  event_id  uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  body      bytea NOT NULL
);

CREATE TABLE audit_head (
  log_id    uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  stream    smallint NOT NULL,
  epoch     integer NOT NULL DEFAULT 0,
  origin    text NOT NULL,
  size      bigint NOT NULL DEFAULT 0 CHECK (size >= 0),
  root      bytea NOT NULL,
  frontier  bytea[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (tenant_id, stream, epoch)
);

CREATE TABLE audit_leaf (
  log_id      uuid NOT NULL,
  leaf_index  bigint NOT NULL CHECK (leaf_index >= 0),
  tenant_id   uuid NOT NULL,
  event_id    uuid NOT NULL UNIQUE,
  recorded_at timestamptz NOT NULL,
  leaf_hash   bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
  PRIMARY KEY (log_id, leaf_index)
);

CREATE TABLE audit_node (
  log_id    uuid NOT NULL,
  level     smallint NOT NULL CHECK (level >= 1),
  idx       bigint NOT NULL CHECK (idx >= 0),
  tenant_id uuid NOT NULL,
  hash      bytea NOT NULL CHECK (octet_length(hash) = 32),
  PRIMARY KEY (log_id, level, idx)
);

-- Every checkpoint that ever left the process, written before it does.
CREATE TABLE audit_checkpoint (
  log_id    uuid NOT NULL,
  size      bigint NOT NULL CHECK (size >= 0),
  tenant_id uuid NOT NULL,
  root      bytea NOT NULL CHECK (octet_length(root) = 32),
  note      text NOT NULL,
  issued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (log_id, size)
);

-- The heads log: entry `leaf_index` of it fixes that log `log_id` had `size` entries under `root`.
-- After a restore there may be several heads logs, one an epoch.
CREATE TABLE audit_heads_entry (
  id         uuid PRIMARY KEY,
  heads_log  uuid NOT NULL,
  leaf_index bigint NOT NULL CHECK (leaf_index >= 0),
  log_id     uuid NOT NULL,
  tenant_id  uuid NOT NULL,
  size       bigint NOT NULL,
  root       bytea NOT NULL,
  leaf       bytea NOT NULL,
  at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (heads_log, leaf_index),
  UNIQUE (log_id, size, heads_log)
);

CREATE TABLE audit_anchor (
  id        uuid PRIMARY KEY,
  log_id    uuid NOT NULL,
  size      bigint NOT NULL,
  tenant_id uuid NOT NULL,
  kind      text NOT NULL,
  proof     text NOT NULL,
  at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX audit_anchor_log ON audit_anchor (log_id, size);

CREATE TABLE audit_sealer_state (
  shard             smallint PRIMARY KEY,
  low               xid8 NOT NULL,
  system_identifier text NOT NULL,
  since             timestamptz NOT NULL
);

-- Full text, filled by the sealer and never by the writing transaction. The words carry the tenant as a
-- lexeme of its own, so that one index condition finds one tenant's entries.
CREATE TABLE audit_search (
  event_id  uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  words     tsvector NOT NULL
);
CREATE INDEX audit_search_words ON audit_search USING gin (words);
