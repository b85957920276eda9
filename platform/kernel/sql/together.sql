-- Guarded use that is decided for many callers in one transaction, and whom a limit guards.
--
-- A feature that a tenant does not have has the limit 0. That is said of the feature alone: it does
-- not keep the tenant from using a meter by another feature that it has. So a use is guarded by the
-- windows of all features that are granted (gate.tenant.features) and by that of the feature that is
-- used; use of a meter without a feature is refused where none is granted: docs/adr/0139.
--
-- Several uses in one transaction are decided one after the other, in their order, under the locks
-- that one alone takes: docs/adr/0138. The order of locks is that of meters.sql, and within each kind
-- by tenant; nobody else locks things of two tenants, and those who do start with all meters.
--
-- This file replaces gate.check_quota of burn.sql.

CREATE TYPE gate.guard AS (
  feature_key text, window_start timestamptz, window_end timestamptz, used numeric,
  reserved numeric, hard_limit numeric, granted boolean
);

-- Lock the quotas of a meter as they stand at p_at (NULL: now), let go of what was held and has
-- expired, and give the instant to which a use that follows belongs, and whether grants burn there.
-- Whoever waited here while a window began belongs to the new one.
CREATE FUNCTION gate.settle_quotas(
  p_tenant uuid, p_meter text, p_at timestamptz, OUT at timestamptz, OUT burning boolean
) LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  c_wait CONSTANT interval := '2 milliseconds';
BEGIN
  at := coalesce(p_at, clock_timestamp());
  LOOP
    PERFORM gate.lock_quotas(p_tenant, p_meter, at);
    EXIT WHEN p_at IS NOT NULL OR clock_timestamp() < at + c_wait
      OR NOT EXISTS (SELECT FROM gate.quota q
                      WHERE q.tenant_id = p_tenant AND q.meter = p_meter
                        AND q.window_start > settle_quotas.at AND q.window_end > settle_quotas.at
                        AND q.window_start <= clock_timestamp());
    at := clock_timestamp();
  END LOOP;
  burning := gate.lock_burns(p_tenant, p_meter);
  IF EXISTS (SELECT FROM gate.hold h WHERE h.tenant_id = p_tenant AND h.meter = p_meter
                AND h.state = 'held' AND h.expires_at <= clock_timestamp()) THEN
    WITH expired AS (
      UPDATE gate.hold h SET state = 'expired'
       WHERE h.tenant_id = p_tenant AND h.meter = p_meter AND h.state = 'held'
         AND h.expires_at <= clock_timestamp()
         AND EXISTS (SELECT FROM gate.quota q
                      WHERE q.tenant_id = p_tenant AND q.meter = p_meter
                        AND q.window_start <= settle_quotas.at AND q.window_end > settle_quotas.at
                        AND q.window_start <= h.at AND q.window_end > h.at)
      RETURNING h.at, h.quantity
    )
    UPDATE gate.quota q
       SET reserved = greatest(q.reserved - (SELECT sum(e.quantity) FROM expired e
                                              WHERE q.window_start <= e.at AND q.window_end > e.at), 0)
     WHERE q.tenant_id = p_tenant AND q.meter = p_meter
       AND EXISTS (SELECT FROM expired e WHERE q.window_start <= e.at AND q.window_end > e.at);
  END IF;
END $$;

-- How the quotas of a meter stand at an instant.
CREATE FUNCTION gate.guards(p_tenant uuid, p_meter text, p_at timestamptz) RETURNS gate.guard[]
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT array_agg(ROW(s.feature_key, s.window_start, s.window_end, s.used, s.reserved, s.hard_limit,
                       s.feature_key = ANY (t.features))::gate.guard)
    FROM gate.quota_standing(p_tenant, NULL, p_meter, p_at) AS s
    JOIN gate.tenant t ON t.tenant_id = p_tenant
$$;

-- Of these the one that leaves a use of p_feature least; the feature's own where that is the same.
CREATE FUNCTION gate.tightest(p_guards gate.guard[], p_feature text) RETURNS gate.guard
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
  SELECT g FROM unnest(p_guards) AS g
   WHERE g.granted OR g.feature_key = p_feature
      OR (p_feature IS NULL AND NOT EXISTS (SELECT FROM unnest(p_guards) AS o WHERE o.granted))
   ORDER BY g.hard_limit - g.used - g.reserved, (g.feature_key = p_feature) DESC LIMIT 1
$$;

-- Whether a use at an instant of the past leaves anything uncovered from there to now, by grants
-- that guard it: a balance that it takes may have been used since.
CREATE FUNCTION gate.uncovered(
  p_tenant uuid, p_meter text, p_feature text, p_at timestamptz, p_quantity numeric
) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT EXISTS (SELECT FROM gate.quota q
                  WHERE q.tenant_id = p_tenant AND q.meter = p_meter AND q.burns
                    AND q.window_start > p_at AND q.window_end > p_at
                    AND q.window_start <= clock_timestamp())
     AND EXISTS (SELECT FROM gate.quota q
                   JOIN gate.tenant t ON t.tenant_id = p_tenant
                  CROSS JOIN LATERAL gate.burn_down(p_tenant, q.feature_key, clock_timestamp(), true,
                                                    p_at, p_quantity) AS d
                  WHERE q.tenant_id = p_tenant AND q.meter = p_meter AND q.burns
                    AND (q.feature_key = ANY (t.features) OR q.feature_key = p_feature)
                    AND q.window_start <= p_at AND q.window_end > p_at
                    AND q.hard_limit IS NOT NULL AND q.issued IS NOT NULL
                    AND d.segment_end > p_at AND d.overage > 0)
$$;

-- Lock the quotas of a meter as they stand at p_at (NULL: now), and see whether `p_quantity` more
-- fits all that guard p_feature (NULL: the meter itself); the tightest is told. Whoever then records
-- the use in the same transaction, at the instant that is told, cannot overshoot: the next caller
-- waits here and sees it. Without a quota nothing is exceeded.
DROP FUNCTION gate.check_quota(uuid, text, numeric, timestamptz);
CREATE FUNCTION gate.check_quota(
  p_tenant uuid, p_meter text, p_quantity numeric, p_at timestamptz, p_feature text DEFAULT NULL,
  OUT exceeded boolean, OUT at timestamptz, OUT used numeric, OUT reserved numeric,
  OUT hard_limit numeric, OUT feature_key text, OUT window_start timestamptz,
  OUT window_end timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v_burning boolean;
  v_guard gate.guard;
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  IF (SELECT t.changes_at <= clock_timestamp() FROM gate.tenant t WHERE t.tenant_id = p_tenant) THEN
    PERFORM gate.apply_pending(p_tenant);
  END IF;
  SELECT s.at, s.burning INTO at, v_burning FROM gate.settle_quotas(p_tenant, p_meter, p_at) AS s;
  v_guard := gate.tightest(gate.guards(p_tenant, p_meter, at), p_feature);
  feature_key := v_guard.feature_key;
  window_start := v_guard.window_start;
  window_end := v_guard.window_end;
  used := v_guard.used;
  reserved := v_guard.reserved;
  hard_limit := v_guard.hard_limit;
  exceeded := coalesce(used + reserved + p_quantity > hard_limit, false);
  IF v_burning AND NOT exceeded AND p_quantity > 0 THEN
    exceeded := gate.uncovered(p_tenant, p_meter, p_feature, at, p_quantity);
  END IF;
END $$;

-- Decide on uses of meters by features, now, in their order: what fits is to be recorded at the
-- instant that is told, in the same transaction. A row for each, by place, how the tightest quota
-- stands after it; without a row of gate.quota to guard it `feature_key` is NULL and nothing is
-- decided: the caller opens the windows first.
CREATE FUNCTION gate.use_quotas(
  p_tenant uuid[], p_meter text[], p_feature text[], p_quantity numeric[]
) RETURNS TABLE (
  place int, fits boolean, at timestamptz, feature_key text, window_start timestamptz,
  window_end timestamptz, used numeric, reserved numeric, hard_limit numeric
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v_tenant uuid;
  v_pair record;
  v_burning boolean;
  v_guards gate.guard[];
  v_guard gate.guard;
  v_taken numeric;
BEGIN
  FOR v_tenant IN SELECT DISTINCT t FROM unnest(p_tenant) AS t ORDER BY t LOOP
    PERFORM gate.assert_tenant(v_tenant);
    IF (SELECT t.changes_at <= clock_timestamp() FROM gate.tenant t WHERE t.tenant_id = v_tenant) THEN
      PERFORM gate.apply_pending(v_tenant);
    END IF;
  END LOOP;
  IF cardinality(p_tenant) > 1 THEN
    PERFORM pg_advisory_xact_lock(m.key)
       FROM (SELECT DISTINCT gate.meter_lock(u.tenant, u.meter) AS key
               FROM unnest(p_tenant, p_meter) AS u (tenant, meter)
              WHERE EXISTS (SELECT FROM gate.quota q
                             WHERE q.tenant_id = u.tenant AND q.meter = u.meter
                               AND q.window_start <= clock_timestamp()
                               AND q.window_end > clock_timestamp())
              ORDER BY key) AS m;
  END IF;
  FOR v_pair IN
    SELECT u.tenant, u.meter, array_agg(u.place::int ORDER BY u.place) AS places
      FROM unnest(p_tenant, p_meter) WITH ORDINALITY AS u (tenant, meter, place)
     GROUP BY u.tenant, u.meter ORDER BY u.tenant, u.meter
  LOOP
    SELECT s.at, s.burning INTO at, v_burning
      FROM gate.settle_quotas(v_pair.tenant, v_pair.meter, NULL) AS s;
    v_guards := gate.guards(v_pair.tenant, v_pair.meter, at);
    v_taken := 0;
    FOREACH place IN ARRAY v_pair.places LOOP
      v_guard := gate.tightest(v_guards, p_feature[place]);
      feature_key := v_guard.feature_key;
      window_start := v_guard.window_start;
      window_end := v_guard.window_end;
      reserved := v_guard.reserved;
      hard_limit := v_guard.hard_limit;
      used := v_guard.used + v_taken;
      fits := feature_key IS NOT NULL
          AND coalesce(used + reserved + p_quantity[place] <= hard_limit, true);
      IF fits AND v_burning THEN
        fits := NOT gate.uncovered(v_pair.tenant, v_pair.meter, p_feature[place], at,
                                   v_taken + p_quantity[place]);
      END IF;
      IF fits THEN
        v_taken := v_taken + p_quantity[place];
        used := v_guard.used + v_taken;
      END IF;
      RETURN NEXT;
    END LOOP;
  END LOOP;
END $$;

REVOKE ALL ON FUNCTION gate.settle_quotas, gate.guards, gate.tightest, gate.uncovered,
  gate.check_quota, gate.use_quotas FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate.check_quota, gate.use_quotas TO innkeeper_app, innkeeper_staff;
