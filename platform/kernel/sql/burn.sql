-- Grants: quotas whose limit depends on what was used before. A plain quota window is one row with
-- one limit; a quota that burns is cut wherever its grants change, and its limit is computed under
-- the lock of each guarded use from what was counted in each segment. Nothing is stored that could
-- differ from the counters: late events, corrections and commits of earlier holds move balances by
-- being counted where they belong (docs/adr/0094).
--
--   gate.quota   rows that burn are segments of a usage period: [window_start, window_end)
--   gate.burn    the grants of a tenant's feature in burn order, and the balances that the first
--                segment starts from; its row is the lock that all segments share
--
-- Locks are taken in the order gate.tenant, gate.quota (by feature and start), gate.burn, the
-- advisory locks of ingest, gate.quota_use. This file replaces functions of quota.sql.

ALTER TABLE gate.quota
  ADD COLUMN burns boolean NOT NULL DEFAULT false,
  -- Only of rows that burn:
  ADD COLUMN issued numeric CHECK (issued >= 0),  -- what the period itself grants; NULL: no bound
  ADD COLUMN period_start timestamptz,
  ADD COLUMN period_end timestamptz,
  ADD COLUMN reset smallint NOT NULL DEFAULT 0,   -- starts a period: 1 overage is dropped, 2 kept
  ADD COLUMN recurs uuid[] NOT NULL DEFAULT '{}', -- grants that start at their amount here
  ADD CONSTRAINT quota_reset CHECK (reset BETWEEN 0 AND 2),
  ADD CONSTRAINT quota_period CHECK (NOT burns OR (period_start <= window_start
                                                   AND window_end <= period_end)) NOT VALID;
ALTER TABLE gate.pending ADD COLUMN issued jsonb NOT NULL DEFAULT '{}';

CREATE TABLE gate.burn (
  tenant_id    uuid NOT NULL,
  feature_key  text NOT NULL,
  meter        text NOT NULL,
  stream       uuid NOT NULL,         -- the entitlement whose grants these are
  base_at      timestamptz NOT NULL,  -- start of the first segment that counts
  base         numeric[] NOT NULL,    -- balances just before it, and the overage
  base_overage numeric NOT NULL DEFAULT 0,
  ids          uuid[] NOT NULL,       -- in burn order; parallel arrays from here on
  amounts      numeric[] NOT NULL,    -- NULL: what the period itself grants
  froms        timestamptz[] NOT NULL,
  tos          timestamptz[] NOT NULL,
  minima       numeric[] NOT NULL,    -- of the balance after a reset
  maxima       numeric[] NOT NULL,
  PRIMARY KEY (tenant_id, feature_key)
);
CREATE INDEX burn_meter ON gate.burn (tenant_id, meter);

-- Take up to p_amount from balances, the first ones first; give what is left of both.
CREATE FUNCTION gate.burn_off(p_balances numeric[], p_amount numeric,
                              OUT balances numeric[], OUT uncovered numeric)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $$
DECLARE
  taken numeric;
BEGIN
  balances := p_balances;
  uncovered := p_amount;
  FOR i IN 1 .. cardinality(balances) LOOP
    EXIT WHEN uncovered <= 0;
    taken := least(balances[i], uncovered);
    IF taken > 0 THEN
      balances[i] := balances[i] - taken;
      uncovered := uncovered - taken;
    END IF;
  END LOOP;
END $$;

-- Burn the use of each segment off the grants, from the base to the segment that contains p_until.
--   p_holds       whether what is reserved counts as used
--   p_at, p_more  an amount that is to be used besides, at an instant
-- `opening` are the balances after grants ended, rolled over, recurred and paid what was owed;
-- `overage` is what no grant has covered: the next balance that appears in the period pays it.
-- A segment whose use sums up to less than nothing burns nothing.
CREATE FUNCTION gate.burn_down(
  p_tenant uuid, p_feature text, p_until timestamptz, p_holds boolean,
  p_at timestamptz, p_more numeric
) RETURNS TABLE (
  segment_start timestamptz, segment_end timestamptz, period_start timestamptz,
  period_end timestamptz, used numeric, reserved numeric, opening numeric[], owed numeric,
  closing numeric[], overage numeric
) LANGUAGE plpgsql STABLE ROWS 20 SET search_path = pg_catalog AS $$
DECLARE
  b gate.burn%ROWTYPE;
  s record;
  balances numeric[];
  due numeric;
BEGIN
  SELECT * INTO b FROM gate.burn g WHERE g.tenant_id = p_tenant AND g.feature_key = p_feature;
  balances := b.base;
  overage := b.base_overage;
  FOR s IN
    SELECT q.window_start, q.window_end, q.period_start, q.period_end, q.issued, q.reset, q.recurs,
           coalesce((SELECT sum(u.used) FROM gate.quota_use u
                      WHERE u.tenant_id = q.tenant_id AND u.feature_key = q.feature_key
                        AND u.window_start = q.window_start), 0) AS used,
           CASE WHEN q.reserved > 0
                THEN greatest(q.reserved - gate.held(p_tenant, q.meter, q.window_start, q.window_end,
                                                     clock_timestamp()), 0)
                ELSE 0 END AS reserved
      FROM gate.quota q
     WHERE q.tenant_id = p_tenant AND q.feature_key = p_feature AND q.burns
       AND q.window_start >= b.base_at AND q.window_start <= p_until
     ORDER BY q.window_start
  LOOP
    FOR i IN 1 .. cardinality(b.ids) LOOP
      IF b.froms[i] > s.window_start OR b.tos[i] <= s.window_start THEN
        balances[i] := 0;
      ELSIF b.amounts[i] IS NULL THEN
        IF s.reset > 0 OR s.window_start = b.base_at THEN
          balances[i] := coalesce(s.issued, 0);
        END IF;
      ELSIF b.ids[i] = ANY (s.recurs) THEN
        balances[i] := b.amounts[i];
      ELSIF s.reset > 0 THEN
        balances[i] := least(b.maxima[i], greatest(b.minima[i], balances[i]));
      END IF;
    END LOOP;
    IF s.reset = 1 THEN
      overage := 0;
    END IF;
    SELECT f.balances, f.uncovered INTO opening, owed FROM gate.burn_off(balances, overage) AS f;
    due := s.used;
    IF p_holds THEN
      due := due + s.reserved;
    END IF;
    IF p_at >= s.window_start AND p_at < s.window_end THEN
      due := due + p_more;
    END IF;
    SELECT f.balances, f.uncovered INTO closing, overage
      FROM gate.burn_off(opening, owed + greatest(due, 0)) AS f;
    balances := closing;
    segment_start := s.window_start;
    segment_end := s.window_end;
    period_start := s.period_start;
    period_end := s.period_end;
    used := s.used;
    reserved := s.reserved;
    RETURN NEXT;
  END LOOP;
END $$;

-- How a quota that burns stands at an instant: use and reservations since the last reset, what its
-- grants leave (`balance`, of each in `grants`), and the limit that comes of it: what guarded use
-- may still take is hard_limit - used - reserved, exactly. p_hard NULL: nothing is refused;
-- p_issued NULL besides: nothing is bounded; else without p_issued nothing is granted at all.
CREATE FUNCTION gate.burn_standing(
  p_tenant uuid, p_feature text, p_at timestamptz, p_issued numeric, p_hard numeric,
  OUT used numeric, OUT reserved numeric, OUT hard_limit numeric, OUT available numeric,
  OUT balance numeric, OUT overage numeric, OUT grants jsonb
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
  d record;
  v_period timestamptz;
  v_holds boolean := false;
  v_left numeric;
BEGIN
  FOR d IN SELECT r.* FROM gate.burn_down(p_tenant, p_feature, p_at, false, NULL, 0) AS r LOOP
    IF d.period_start IS DISTINCT FROM v_period THEN
      used := 0;
      reserved := 0;
      v_period := d.period_start;
    END IF;
    used := used + d.used;
    reserved := reserved + d.reserved;
    v_holds := v_holds OR d.reserved > 0;
  END LOOP;
  IF v_period IS NULL THEN
    used := 0;
    reserved := 0;
  END IF;
  IF p_issued IS NULL THEN
    hard_limit := p_hard;
    overage := 0;
    RETURN;
  END IF;
  balance := (SELECT coalesce(sum(c), 0) FROM unnest(d.closing) AS c);
  overage := coalesce(d.overage, 0);
  available := greatest(used - overage, 0) + balance;
  grants := (SELECT coalesce(jsonb_object_agg(g.id, g.left), '{}')
               FROM gate.burn b,
                    unnest(b.ids, d.closing, b.froms, b.tos) AS g (id, "left", since, until)
              WHERE b.tenant_id = p_tenant AND b.feature_key = p_feature
                AND g.since <= p_at AND g.until > p_at);
  IF p_hard IS NOT NULL THEN
    v_left := balance - overage;
    IF v_holds THEN
      SELECT (SELECT sum(c) FROM unnest(r.closing) AS c) - r.overage INTO v_left
        FROM gate.burn_down(p_tenant, p_feature, p_at, true, NULL, 0) AS r
       ORDER BY r.segment_start DESC LIMIT 1;
    END IF;
    hard_limit := greatest(used + reserved + v_left, 0);
  END IF;
END $$;

-- As in quota.sql, and of quotas that burn also what they leave; their window is the usage period.
DROP FUNCTION gate.quota_standing(uuid, text, text, timestamptz);
CREATE FUNCTION gate.quota_standing(
  p_tenant uuid, p_feature text, p_meter text, p_at timestamptz
) RETURNS TABLE (
  feature_key text, window_start timestamptz, window_end timestamptz, used numeric,
  reserved numeric, hard_limit numeric, available numeric, balance numeric, overage numeric,
  grants jsonb
) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  RETURN QUERY
  SELECT q.feature_key, coalesce(q.period_start, q.window_start),
         coalesce(q.period_end, q.window_end),
         CASE WHEN q.burns THEN b.used
              ELSE coalesce((SELECT sum(u.used) FROM gate.quota_use u
                              WHERE u.tenant_id = q.tenant_id AND u.feature_key = q.feature_key
                                AND u.window_start = q.window_start), 0) END,
         CASE WHEN q.burns THEN b.reserved
              ELSE greatest(q.reserved - gate.held(p_tenant, q.meter, q.window_start, q.window_end,
                                                   clock_timestamp()), 0) END,
         CASE WHEN q.burns THEN b.hard_limit ELSE q.hard_limit END,
         b.available, b.balance, b.overage, b.grants
    FROM gate.quota q
    LEFT JOIN LATERAL (
      SELECT r.* FROM gate.burn_standing(p_tenant, q.feature_key, p_at, q.issued, q.hard_limit) AS r
       WHERE q.burns
    ) AS b ON true
   WHERE q.tenant_id = p_tenant AND q.window_start <= p_at AND q.window_end > p_at
     AND (p_feature IS NULL OR q.feature_key = p_feature)
     AND (p_meter IS NULL OR q.meter = p_meter);
END $$;

-- Lock what all segments of a meter's quotas that burn share; tell whether there are such.
CREATE FUNCTION gate.lock_burns(p_tenant uuid, p_meter text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  PERFORM FROM gate.burn b WHERE b.tenant_id = p_tenant AND b.meter = p_meter
    ORDER BY b.feature_key FOR NO KEY UPDATE;
  RETURN FOUND;
END $$;

-- As in quota.sql. Of quotas that burn the limit is what their grants leave, and use at an instant
-- of the past must leave nothing uncovered from there to now: a balance that it takes may have been
-- used since. Whoever waited here while a segment began belongs to the new one.
CREATE OR REPLACE FUNCTION gate.check_quota(
  p_tenant uuid, p_meter text, p_quantity numeric, p_at timestamptz,
  OUT exceeded boolean, OUT at timestamptz, OUT used numeric, OUT reserved numeric,
  OUT hard_limit numeric, OUT feature_key text, OUT window_start timestamptz,
  OUT window_end timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v_burning boolean;
  c_wait CONSTANT interval := '2 milliseconds';
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  IF (SELECT t.changes_at <= clock_timestamp() FROM gate.tenant t WHERE t.tenant_id = p_tenant) THEN
    PERFORM gate.apply_pending(p_tenant);
  END IF;
  at := coalesce(p_at, clock_timestamp());
  LOOP
    PERFORM gate.lock_quotas(p_tenant, p_meter, at);
    EXIT WHEN p_at IS NOT NULL OR clock_timestamp() < at + c_wait
      OR NOT EXISTS (SELECT FROM gate.quota q
                      WHERE q.tenant_id = p_tenant AND q.meter = p_meter
                        AND q.window_start > check_quota.at AND q.window_end > check_quota.at
                        AND q.window_start <= clock_timestamp());
    at := clock_timestamp();
  END LOOP;
  v_burning := gate.lock_burns(p_tenant, p_meter);
  WITH expired AS (
    UPDATE gate.hold h SET state = 'expired'
     WHERE h.tenant_id = p_tenant AND h.meter = p_meter AND h.state = 'held'
       AND h.expires_at <= clock_timestamp()
       AND EXISTS (SELECT FROM gate.quota q
                    WHERE q.tenant_id = p_tenant AND q.meter = p_meter
                      AND q.window_start <= check_quota.at AND q.window_end > check_quota.at
                      AND q.window_start <= h.at AND q.window_end > h.at)
    RETURNING h.at, h.quantity
  )
  UPDATE gate.quota q
     SET reserved = greatest(q.reserved - (SELECT sum(e.quantity) FROM expired e
                                            WHERE q.window_start <= e.at AND q.window_end > e.at), 0)
   WHERE q.tenant_id = p_tenant AND q.meter = p_meter
     AND EXISTS (SELECT FROM expired e WHERE q.window_start <= e.at AND q.window_end > e.at);
  SELECT s.used, s.reserved, s.hard_limit, s.feature_key, s.window_start, s.window_end
    INTO used, reserved, hard_limit, feature_key, window_start, window_end
    FROM gate.quota_standing(p_tenant, NULL, p_meter, at) AS s
   ORDER BY s.hard_limit - s.used - s.reserved LIMIT 1;
  exceeded := coalesce(used + reserved + p_quantity > hard_limit, false);
  IF v_burning AND NOT exceeded AND p_quantity > 0
     AND EXISTS (SELECT FROM gate.quota q
                  WHERE q.tenant_id = p_tenant AND q.meter = p_meter AND q.burns
                    AND q.window_start > check_quota.at AND q.window_end > check_quota.at
                    AND q.window_start <= clock_timestamp()) THEN
    exceeded := EXISTS (
      SELECT FROM gate.quota q
       CROSS JOIN LATERAL gate.burn_down(p_tenant, q.feature_key, clock_timestamp(), true,
                                         check_quota.at, p_quantity) AS d
       WHERE q.tenant_id = p_tenant AND q.meter = p_meter AND q.burns
         AND q.window_start <= check_quota.at AND q.window_end > check_quota.at
         AND q.hard_limit IS NOT NULL AND q.issued IS NOT NULL
         AND d.segment_end > check_quota.at AND d.overage > 0);
  END IF;
END $$;

-- As in quota.sql, under the lock that segments share.
CREATE OR REPLACE FUNCTION gate.end_hold(
  p_tenant uuid, p_hold uuid, p_state text,
  OUT ended boolean, OUT state text, OUT feature text, OUT meter text, OUT at timestamptz,
  OUT quantity numeric
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  ended := false;
  SELECT h.feature, h.meter, h.at, h.quantity INTO feature, meter, at, quantity
    FROM gate.hold h WHERE h.tenant_id = p_tenant AND h.hold_id = p_hold;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  PERFORM gate.lock_quotas(p_tenant, meter, at);
  PERFORM gate.lock_burns(p_tenant, meter);
  UPDATE gate.hold h
     SET state = CASE WHEN h.expires_at <= clock_timestamp() THEN 'expired' ELSE p_state END
   WHERE h.tenant_id = p_tenant AND h.hold_id = p_hold AND h.state = 'held'
  RETURNING h.state INTO state;
  IF FOUND THEN
    ended := state = p_state;
    UPDATE gate.quota q SET reserved = greatest(q.reserved - end_hold.quantity, 0)
     WHERE q.tenant_id = p_tenant AND q.meter = end_hold.meter
       AND q.window_start <= end_hold.at AND q.window_end > end_hold.at;
  ELSE
    SELECT h.state INTO state FROM gate.hold h
     WHERE h.tenant_id = p_tenant AND h.hold_id = p_hold;
  END IF;
END $$;

-- As in quota.sql, with `issued` beside the limits: {feature: number or null}.
CREATE OR REPLACE FUNCTION gate.put_pending(p_tenant uuid, p_changes jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
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

-- As in quota.sql; what a period itself grants changes for the whole of a period that is running.
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

-- Lock a tenant's grants for a change, and list its quota windows of the last 400 days and later.
DROP FUNCTION gate.lock_grants(uuid);
CREATE FUNCTION gate.lock_grants(p_tenant uuid)
RETURNS TABLE (
  feature_key text, meter text, window_start timestamptz, window_end timestamptz,
  hard_limit numeric, burns boolean, issued numeric, period_start timestamptz,
  period_end timestamptz, reset smallint, recurs uuid[]
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  PERFORM FROM gate.tenant t WHERE t.tenant_id = p_tenant FOR NO KEY UPDATE;
  -- Past windows too: a change may reopen the longest period (a year), and guarded use that waited
  -- for a change may hold a lock on a window that the change has ended.
  PERFORM FROM gate.quota q
    WHERE q.tenant_id = p_tenant AND q.window_end > clock_timestamp() - interval '400 days'
    ORDER BY q.feature_key, q.window_start FOR NO KEY UPDATE;
  PERFORM FROM gate.burn b WHERE b.tenant_id = p_tenant ORDER BY b.feature_key FOR NO KEY UPDATE;
  RETURN QUERY
    SELECT q.feature_key, q.meter, q.window_start, q.window_end, q.hard_limit, q.burns, q.issued,
           q.period_start, q.period_end, q.reset, q.recurs
      FROM gate.quota q
     WHERE q.tenant_id = p_tenant AND q.window_end > clock_timestamp() - interval '400 days';
END $$;

-- As in quota.sql; a window of a quota that burns has more to say: {issued, period_from, period_to,
-- reset, recurs, burns}.
CREATE OR REPLACE FUNCTION gate.put_quotas(p_tenant uuid, p_windows jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  w record;
BEGIN
  FOR w IN SELECT * FROM jsonb_to_recordset(p_windows)
             AS w (feature text, meter text, "from" timestamptz, "to" timestamptz,
                   hard_limit numeric, used numeric, burns boolean, issued numeric,
                   period_from timestamptz, period_to timestamptz, reset smallint, recurs uuid[])
            ORDER BY feature, "from"
  LOOP
    UPDATE gate.quota q
       SET hard_limit = w.hard_limit, meter = w.meter, burns = coalesce(w.burns, false),
           issued = w.issued, period_start = w.period_from, period_end = w.period_to,
           reset = coalesce(w.reset, 0), recurs = coalesce(w.recurs, '{}')
     WHERE q.tenant_id = p_tenant AND q.feature_key = w.feature
       AND q.window_start = w."from" AND q.window_end = w."to";
    CONTINUE WHEN FOUND;
    DELETE FROM gate.quota q
     WHERE q.tenant_id = p_tenant AND q.feature_key = w.feature
       AND q.window_start >= w."from" AND q.window_start < w."to";
    UPDATE gate.quota q SET window_end = w."from"
     WHERE q.tenant_id = p_tenant AND q.feature_key = w.feature
       AND q.window_start < w."from" AND q.window_end > w."from";
    INSERT INTO gate.quota
      (tenant_id, feature_key, window_start, window_end, meter, hard_limit, reserved,
       burns, issued, period_start, period_end, reset, recurs)
    VALUES (p_tenant, w.feature, w."from", w."to", w.meter, w.hard_limit,
            gate.held(p_tenant, w.meter, w."from", w."to", '-infinity'),
            coalesce(w.burns, false), w.issued, w.period_from, w.period_to,
            coalesce(w.reset, 0), coalesce(w.recurs, '{}'));
    IF w.used <> 0 THEN
      INSERT INTO gate.quota_use (tenant_id, feature_key, window_start, slot, used)
      VALUES (p_tenant, w.feature, w."from", 0, w.used);
    END IF;
  END LOOP;
END $$;

-- Say what burns: a list of {feature, meter, stream, base_at, base_overage, grants: [{id, amount,
-- from, to, minimum, maximum, base}]} with grants in burn order. A feature that is not named does
-- not burn any more.
CREATE FUNCTION gate.put_burns(p_tenant uuid, p_burns jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  DELETE FROM gate.burn b WHERE b.tenant_id = p_tenant
     AND b.feature_key NOT IN (SELECT n ->> 'feature' FROM jsonb_array_elements(p_burns) AS n);
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

-- As in quota.sql, with what burns (NULL: as before).
DROP FUNCTION gate.put_grants(uuid, bigint, bigint, bigint, text[], jsonb, jsonb);
CREATE FUNCTION gate.put_grants(
  p_tenant uuid, p_daily bigint, p_interval bigint, p_depth bigint, p_features text[],
  p_windows jsonb, p_changes jsonb, p_burns jsonb DEFAULT NULL
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.put_limits(p_tenant, p_daily, p_interval, p_depth, p_features);
  PERFORM gate.put_quotas(p_tenant, p_windows);
  IF p_burns IS NOT NULL THEN
    PERFORM gate.put_burns(p_tenant, p_burns);
  END IF;
  PERFORM gate.put_pending(p_tenant, p_changes);
END $$;

-- What burns of a tenant: of each feature where its segments start from.
CREATE FUNCTION gate.burns(p_tenant uuid)
RETURNS TABLE (
  feature_key text, stream uuid, base_at timestamptz, base_overage numeric, ids uuid[],
  base numeric[]
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  RETURN QUERY SELECT b.feature_key, b.stream, b.base_at, b.base_overage, b.ids, b.base
    FROM gate.burn b WHERE b.tenant_id = p_tenant;
END $$;

-- The segments of a quota that burns from its base to the one that contains p_until, and its grants.
CREATE FUNCTION gate.burn_history(p_tenant uuid, p_feature text, p_until timestamptz)
RETURNS TABLE (
  segment_start timestamptz, segment_end timestamptz, period_start timestamptz,
  period_end timestamptz, used numeric, opening numeric[], owed numeric, closing numeric[],
  overage numeric, ids uuid[], active boolean[]
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  RETURN QUERY
  SELECT d.segment_start, d.segment_end, d.period_start, d.period_end, d.used, d.opening, d.owed,
         d.closing, d.overage, b.ids,
         ARRAY(SELECT g.since <= d.segment_start AND g.until > d.segment_start
                 FROM unnest(b.froms, b.tos) WITH ORDINALITY AS g (since, until, place)
                ORDER BY g.place)
    FROM gate.burn b, gate.burn_down(p_tenant, p_feature, p_until, false, NULL, 0) AS d
   WHERE b.tenant_id = p_tenant AND b.feature_key = p_feature
   ORDER BY d.segment_start;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA gate FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  gate.lock_grants, gate.put_grants, gate.quota_standing, gate.burns, gate.burn_history
TO innkeeper_app, innkeeper_staff;
