-- Changing what a tenant is granted: windows in sets, and locks only on what a change can touch.
--
-- Whoever changes a tenant's grants holds its row of gate.tenant, so that what its windows say is
-- what they will say (guarded use changes nothing of a window but `reserved`). The windows
-- themselves are locked by meter: guarded use locks all of a meter's, in the same order, and so
-- meets a change of one of them on the first that they share.
--
-- This file replaces functions of burn.sql. The order of locks is the one that stands there.

CREATE TYPE gate.new_window AS (
  feature text, meter text, "from" timestamptz, "to" timestamptz, hard_limit numeric, used numeric,
  burns boolean, issued numeric, period_from timestamptz, period_to timestamptz, reset smallint,
  recurs uuid[]
);

-- Lock all windows of some meters and features, and what their segments share. Past windows too: a
-- change may reopen the longest period (a year), and guarded use that waited for a change may hold
-- a lock on a window that the change has ended.
CREATE FUNCTION gate.lock_windows(p_tenant uuid, p_features text[], p_meters text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  PERFORM FROM gate.quota q
    WHERE q.tenant_id = p_tenant AND q.window_end > clock_timestamp() - interval '400 days'
      AND (q.meter = ANY (p_meters) OR q.feature_key = ANY (p_features))
    ORDER BY q.feature_key, q.window_start FOR NO KEY UPDATE;
  PERFORM FROM gate.burn b
    WHERE b.tenant_id = p_tenant
      AND (b.meter = ANY (p_meters) OR b.feature_key = ANY (p_features))
    ORDER BY b.feature_key FOR NO KEY UPDATE;
END $$;

-- Lock a tenant's grants for a change, and give the instant from which nobody else decides.
--   p_feature  the feature whose windows the change touches: they are locked, with those of its
--              meter, and listed with those of the last 400 days. NULL: any may be; listed are the
--              windows that have not ended and all that burn, and gate.put_grants locks those of
--              the meters that it changes.
-- There is one row without a window if there are none.
DROP FUNCTION gate.lock_grants(uuid);
CREATE FUNCTION gate.lock_grants(
  p_tenant uuid, p_feature text DEFAULT NULL, p_meter text DEFAULT NULL
) RETURNS TABLE (
  locked_at timestamptz, feature_key text, meter text, window_start timestamptz,
  window_end timestamptz, hard_limit numeric, burns boolean, issued numeric,
  period_start timestamptz, period_end timestamptz, reset smallint, recurs uuid[]
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  PERFORM FROM gate.tenant t WHERE t.tenant_id = p_tenant FOR NO KEY UPDATE;
  IF p_feature IS NOT NULL THEN
    PERFORM gate.lock_windows(p_tenant, ARRAY[p_feature], ARRAY[p_meter]);
  END IF;
  RETURN QUERY
    SELECT c.at, q.feature_key, q.meter, q.window_start, q.window_end, q.hard_limit, q.burns,
           q.issued, q.period_start, q.period_end, q.reset, q.recurs
      FROM clock_timestamp() AS c (at)
      LEFT JOIN gate.quota q
        ON q.tenant_id = p_tenant AND q.window_end > c.at - interval '400 days'
       AND CASE WHEN p_feature IS NULL THEN q.burns OR q.window_end > c.at
                ELSE q.feature_key = p_feature END;
END $$;

-- Open quota windows, or change what they say. A window that opens starts at `used`. A window of
-- another length than before is opened anew: what starts inside it goes, what reaches into it ends
-- where it starts. `p_windows` is a list of gate.new_window; those of a feature do not overlap.
CREATE OR REPLACE FUNCTION gate.put_quotas(p_tenant uuid, p_windows jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog SET enable_seqscan = off AS $$
DECLARE
  named CONSTANT gate.new_window[] := ARRAY(
    SELECT w FROM jsonb_populate_recordset(NULL::gate.new_window, p_windows) AS w);
  opened gate.new_window[] := named;
  v_holds boolean;
BEGIN
  IF cardinality(named) = 0 THEN
    RETURN;
  END IF;
  IF EXISTS (SELECT FROM gate.quota q WHERE q.tenant_id = p_tenant) THEN
    PERFORM gate.lock_windows(p_tenant, ARRAY(SELECT DISTINCT w.feature FROM unnest(named) AS w),
                              ARRAY(SELECT DISTINCT w.meter FROM unnest(named) AS w));
    UPDATE gate.quota q
       SET hard_limit = w.hard_limit, meter = w.meter, burns = coalesce(w.burns, false),
           issued = w.issued, period_start = w.period_from, period_end = w.period_to,
           reset = coalesce(w.reset, 0), recurs = coalesce(w.recurs, '{}')
      FROM unnest(named) AS w
     WHERE q.tenant_id = p_tenant AND q.feature_key = w.feature
       AND q.window_start = w."from" AND q.window_end = w."to";
    opened := ARRAY(
      SELECT w FROM unnest(named) AS w
       WHERE NOT EXISTS (SELECT FROM gate.quota q
                          WHERE q.tenant_id = p_tenant AND q.feature_key = w.feature
                            AND q.window_start = w."from" AND q.window_end = w."to"));
    IF cardinality(opened) = 0 THEN
      RETURN;
    END IF;
    DELETE FROM gate.quota q USING unnest(opened) AS w
     WHERE q.tenant_id = p_tenant AND q.feature_key = w.feature
       AND q.window_start >= w."from" AND q.window_start < w."to";
    UPDATE gate.quota q SET window_end = cut.at
      FROM (SELECT k.feature_key, k.window_start, min(w."from") AS at
              FROM unnest(opened) AS w
              JOIN gate.quota k ON k.tenant_id = p_tenant AND k.feature_key = w.feature
                               AND k.window_start < w."from" AND k.window_end > w."from"
             GROUP BY k.feature_key, k.window_start) AS cut
     WHERE q.tenant_id = p_tenant AND q.feature_key = cut.feature_key
       AND q.window_start = cut.window_start;
  END IF;
  v_holds := EXISTS (SELECT FROM gate.hold h WHERE h.tenant_id = p_tenant AND h.state = 'held');
  INSERT INTO gate.quota
    (tenant_id, feature_key, window_start, window_end, meter, hard_limit, reserved,
     burns, issued, period_start, period_end, reset, recurs)
  SELECT p_tenant, w.feature, w."from", w."to", w.meter, w.hard_limit,
         CASE WHEN v_holds THEN gate.held(p_tenant, w.meter, w."from", w."to", '-infinity')
              ELSE 0 END,
         coalesce(w.burns, false), w.issued, w.period_from, w.period_to,
         coalesce(w.reset, 0), coalesce(w.recurs, '{}')
    FROM unnest(opened) AS w ORDER BY w.feature, w."from";
  INSERT INTO gate.quota_use (tenant_id, feature_key, window_start, slot, used)
  SELECT p_tenant, w.feature, w."from", 0, w.used
    FROM unnest(opened) AS w WHERE w.used <> 0 ORDER BY w.feature, w."from";
END $$;

-- As in burn.sql; with p_only the list says what burns of that feature, and others stay as they are.
DROP FUNCTION gate.put_burns(uuid, jsonb);
CREATE FUNCTION gate.put_burns(p_tenant uuid, p_burns jsonb, p_only text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog SET enable_seqscan = off AS $$
BEGIN
  DELETE FROM gate.burn b WHERE b.tenant_id = p_tenant AND b.feature_key = coalesce(p_only, b.feature_key)
     AND b.feature_key NOT IN (SELECT n ->> 'feature' FROM jsonb_array_elements(p_burns) AS n);
  IF p_burns = '[]' THEN
    RETURN;
  END IF;
  INSERT INTO gate.burn AS kept
    (tenant_id, feature_key, meter, stream, base_at, base_overage,
     base, ids, amounts, froms, tos, minima, maxima)
  SELECT p_tenant, n.feature, n.meter, n.stream, n.base_at, n.base_overage, g.*
    FROM jsonb_to_recordset(p_burns)
      AS n (feature text, meter text, stream uuid, base_at timestamptz, base_overage numeric,
            grants jsonb)
   CROSS JOIN LATERAL (
     SELECT coalesce(array_agg((e ->> 'base')::numeric ORDER BY place), '{}'),
            coalesce(array_agg((e ->> 'id')::uuid ORDER BY place), '{}'),
            coalesce(array_agg((e ->> 'amount')::numeric ORDER BY place), '{}'),
            coalesce(array_agg((e ->> 'from')::timestamptz ORDER BY place), '{}'),
            coalesce(array_agg((e ->> 'to')::timestamptz ORDER BY place), '{}'),
            coalesce(array_agg((e ->> 'minimum')::numeric ORDER BY place), '{}'),
            coalesce(array_agg((e ->> 'maximum')::numeric ORDER BY place), '{}')
       FROM jsonb_array_elements(n.grants) WITH ORDINALITY AS one (e, place)) AS g
  ON CONFLICT (tenant_id, feature_key) DO UPDATE
    SET meter = EXCLUDED.meter, stream = EXCLUDED.stream, base_at = EXCLUDED.base_at,
        base_overage = EXCLUDED.base_overage, base = EXCLUDED.base, ids = EXCLUDED.ids,
        amounts = EXCLUDED.amounts, froms = EXCLUDED.froms, tos = EXCLUDED.tos,
        minima = EXCLUDED.minima, maxima = EXCLUDED.maxima;
END $$;

-- As in burn.sql; nothing planned before and nothing now is the rule, and writes nothing.
CREATE OR REPLACE FUNCTION gate.put_pending(p_tenant uuid, p_changes jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF p_changes = '[]'
     AND NOT EXISTS (SELECT FROM gate.pending p WHERE p.tenant_id = p_tenant) THEN
    RETURN;
  END IF;
  DELETE FROM gate.pending p WHERE p.tenant_id = p_tenant;
  INSERT INTO gate.pending
    (tenant_id, at, daily_limit, burst_interval_us, burst_depth, features, hard_limits, issued)
    SELECT p_tenant, c.at, c.daily, c.interval, c.depth, c.features, c.limits,
           coalesce(c.issued, '{}')
      FROM jsonb_to_recordset(p_changes)
        AS c (at timestamptz, daily bigint, interval bigint, depth bigint,
              features text[], limits jsonb, issued jsonb);
  UPDATE gate.tenant t
     SET changes_at = (SELECT min(p.at) FROM gate.pending p WHERE p.tenant_id = p_tenant)
   WHERE t.tenant_id = p_tenant;
END $$;

-- As in burn.sql.
--   p_only  the feature whose windows and burns these are (NULL: those of all)
--   p_due   whether to tell in the outbox that every level of the tenant may lie elsewhere
DROP FUNCTION gate.put_grants(uuid, bigint, bigint, bigint, text[], jsonb, jsonb, jsonb);
CREATE FUNCTION gate.put_grants(
  p_tenant uuid, p_daily bigint, p_interval bigint, p_depth bigint, p_features text[],
  p_windows jsonb, p_changes jsonb, p_burns jsonb DEFAULT NULL, p_only text DEFAULT NULL,
  p_due boolean DEFAULT false
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.put_limits(p_tenant, p_daily, p_interval, p_depth, p_features);
  PERFORM gate.put_quotas(p_tenant, p_windows);
  IF p_burns IS NOT NULL THEN
    PERFORM gate.put_burns(p_tenant, p_burns, p_only);
  END IF;
  PERFORM gate.put_pending(p_tenant, p_changes);
  IF p_due THEN
    PERFORM gate.tell_due(p_tenant, '{}', interval '0');
  END IF;
END $$;

REVOKE ALL ON FUNCTION gate.lock_windows, gate.lock_grants, gate.put_burns, gate.put_grants
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate.lock_windows, gate.lock_grants, gate.put_grants
TO innkeeper_app, innkeeper_staff;
