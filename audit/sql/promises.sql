-- How far the sealer is behind: entries without a place (counted up to 100,000), age of the oldest. The
-- window is the sealer's own, so that what it costs does not grow with the log.
CREATE FUNCTION audit_unsealed(OUT entries bigint, OUT oldest_seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
  SELECT count(*),
         coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(w.recorded_at))), 0)
  FROM (
    SELECT e.recorded_at FROM audit_event e
    WHERE e.xid >= coalesce((SELECT s.low FROM audit_sealer_state s WHERE s.shard = 0), '0'::xid8)
      AND e.recorded_at >= coalesce((SELECT s.since FROM audit_sealer_state s WHERE s.shard = 0),
                                    '-infinity')
      AND NOT EXISTS (SELECT 1 FROM audit_leaf l WHERE l.event_id = e.id)
    ORDER BY e.xid LIMIT 100000) w
$$;
REVOKE ALL ON FUNCTION audit_unsealed() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_unsealed() TO innkeeper_app, innkeeper_staff, innkeeper_sealer;

-- Up to which state each log was found without fault by the nightly look, and the faults of the last one.
CREATE TABLE audit_verified (
  log_id    uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  size      bigint NOT NULL CHECK (size >= 0),
  root      bytea NOT NULL,
  faults    integer NOT NULL CHECK (faults >= 0),
  at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX audit_verified_tenant ON audit_verified (tenant_id);
