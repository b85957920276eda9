-- Usage: what happened, whether it was seen before, and what it adds up to.
--
-- billing_usage_event   the ledger: one row for each accepted event, monthly partitions by time
-- billing_usage_seen    the dedupe key (scope, source, id), hash partitions, no time in it: a time
--                       partitioned unique index would let the same id pass with another time
-- billing_usage_rollup  15-minute sums, the widest bucket that forms civil days in every time zone
-- billing_usage_value   distinct values of UNIQUE_COUNT meters, in the same buckets
-- billing_usage_amendment  voids and corrections of events, append-only: the newest one holds
-- billing_usage_spool   how far the files of the request spool are taken
-- billing_usage_attribution  which tenant a subject key of the operator's events belongs to

CREATE SEQUENCE billing_usage_seq AS bigint;
GRANT USAGE ON SEQUENCE billing_usage_seq TO innkeeper_app, innkeeper_staff;

CREATE TABLE billing_usage_event (
  tenant_id uuid,
  time timestamptz NOT NULL,
  seq bigint NOT NULL,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  scope uuid NOT NULL,
  key_id uuid,
  source text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  data jsonb,
  dataschema text,
  ingested_at timestamptz NOT NULL
) PARTITION BY RANGE (time);
CREATE INDEX billing_usage_event_tenant ON billing_usage_event (tenant_id, time, seq);

CREATE TABLE billing_usage_seen (
  scope uuid NOT NULL,
  source text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  time timestamptz NOT NULL,
  PRIMARY KEY (scope, source, id)
) PARTITION BY HASH (scope, source, id);

CREATE TABLE billing_usage_rollup (
  tenant_id uuid NOT NULL,
  meter_id uuid NOT NULL,
  bucket timestamptz NOT NULL,
  subject text COLLATE "C" NOT NULL,
  groups_hash uuid NOT NULL,
  shard smallint NOT NULL,
  groups text[] COLLATE "C" NOT NULL,
  count bigint NOT NULL,
  total numeric,
  lowest numeric,
  highest numeric,
  latest numeric,
  latest_at timestamptz NOT NULL,
  latest_seq bigint NOT NULL,
  first_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, meter_id, bucket, subject, groups_hash, shard)
) WITH (fillfactor = 70);

CREATE TABLE billing_usage_value (
  tenant_id uuid NOT NULL,
  meter_id uuid NOT NULL,
  bucket timestamptz NOT NULL,
  subject text COLLATE "C" NOT NULL,
  groups_hash uuid NOT NULL,
  value_hash uuid NOT NULL,
  groups text[] COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, meter_id, bucket, subject, groups_hash, value_hash)
);

CREATE TABLE billing_usage_attribution (
  subject text COLLATE "C" PRIMARY KEY,
  tenant_id uuid NOT NULL
);
CREATE INDEX billing_usage_attribution_tenant ON billing_usage_attribution (tenant_id);

-- How far each spool file is read; moves in the transaction that takes its lines.
CREATE TABLE billing_usage_spool (
  file text PRIMARY KEY,
  read_to bigint NOT NULL DEFAULT 0
);

CREATE TABLE billing_usage_amendment (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  event_seq bigint NOT NULL,
  kind text NOT NULL CHECK (kind IN ('void', 'correct')),
  data jsonb,
  reason text NOT NULL CHECK (reason <> ''),
  actor text NOT NULL,
  at timestamptz NOT NULL,
  CHECK ((kind = 'correct') = (data IS NOT NULL))
);
CREATE INDEX billing_usage_amendment_event ON billing_usage_amendment (tenant_id, event_seq, id DESC);
