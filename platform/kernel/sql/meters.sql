-- One lock for each meter of a tenant, under which its windows are used and changed.
--
-- Guarded use that waited for a change may have locked some windows and not those that the change
-- has opened. Taking these afterwards is out of order where several features share a meter: another
-- guarded use holds the new window and waits for the old one. So whoever decides by the windows of
-- a meter, or changes them, takes the meter's lock first, an advisory one, and finds the windows in
-- its next statement as they stand: after any change that was under way, and before any other.
--
-- The order of locks is now: gate.tenant, the meters (by number), gate.quota (by feature and start),
-- gate.burn, the advisory locks of ingest, gate.quota_use. Rows of gate.quota are still locked by
-- guarded use: what was planned comes into force under the tenant's lock alone.

CREATE FUNCTION gate.meter_lock(p_tenant uuid, p_meter text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN hashtextextended('quota ' || p_tenant || ' ' || p_meter, 0);

-- As in quota.sql. Where there is no window there is no lock: such a caller opens the windows, and
-- starts with the lock of the tenant.
CREATE OR REPLACE FUNCTION gate.lock_quotas(p_tenant uuid, p_meter text, p_at timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(gate.meter_lock(p_tenant, p_meter))
   WHERE EXISTS (SELECT FROM gate.quota q
                  WHERE q.tenant_id = p_tenant AND q.meter = p_meter
                    AND q.window_start <= p_at AND q.window_end > p_at);
  PERFORM FROM gate.quota q
    WHERE q.tenant_id = p_tenant AND q.meter = p_meter
      AND q.window_start <= p_at AND q.window_end > p_at
    ORDER BY q.feature_key, q.window_start FOR NO KEY UPDATE;
END $$;

-- Let guarded use of some meters wait, and of those that the windows of some features have now.
CREATE OR REPLACE FUNCTION gate.lock_windows(p_tenant uuid, p_features text[], p_meters text[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  PERFORM pg_advisory_xact_lock(m.key)
     FROM (SELECT gate.meter_lock(p_tenant, meter) AS key
             FROM (SELECT unnest(p_meters) AS meter
                   UNION
                   SELECT q.meter FROM gate.quota q
                    WHERE q.tenant_id = p_tenant AND q.feature_key = ANY (p_features)) AS named
            ORDER BY key) AS m;
END $$;

-- As in burn.sql; windows are locked in the order in which everybody does.
CREATE OR REPLACE FUNCTION gate.apply_pending(p_tenant uuid) RETURNS gate.tenant
LANGUAGE plpgsql AS $$
DECLARE
  t gate.tenant%ROWTYPE;
  due gate.pending%ROWTYPE;
BEGIN
  SELECT * INTO t FROM gate.tenant g WHERE g.tenant_id = p_tenant FOR NO KEY UPDATE;
  IF NOT t.changes_at <= clock_timestamp() THEN
    RETURN t;
  END IF;
  SELECT * INTO due FROM gate.pending p
   WHERE p.tenant_id = p_tenant AND p.at <= clock_timestamp() ORDER BY p.at DESC LIMIT 1;
  DELETE FROM gate.pending p WHERE p.tenant_id = p_tenant AND p.at <= due.at;
  PERFORM FROM gate.quota q
    WHERE q.tenant_id = p_tenant AND due.hard_limits ? q.feature_key
      AND (q.window_end > due.at OR q.period_end > due.at)
    ORDER BY q.feature_key, q.window_start FOR NO KEY UPDATE;
  UPDATE gate.quota q
     SET hard_limit = (due.hard_limits ->> q.feature_key)::numeric,
         issued = CASE WHEN due.issued ? q.feature_key
                       THEN (due.issued ->> q.feature_key)::numeric ELSE q.issued END
   WHERE q.tenant_id = p_tenant AND due.hard_limits ? q.feature_key
     AND (q.window_end > due.at OR q.period_end > due.at);
  UPDATE gate.tenant g
     SET daily_limit = due.daily_limit, burst_interval_us = due.burst_interval_us,
         burst_depth = due.burst_depth, features = due.features,
         entitlement_version = g.entitlement_version + 1,
         changes_at = (SELECT min(p.at) FROM gate.pending p WHERE p.tenant_id = p_tenant)
   WHERE g.tenant_id = p_tenant RETURNING * INTO t;
  RETURN t;
END $$;

REVOKE ALL ON FUNCTION gate.meter_lock FROM PUBLIC;
