-- Quotas: metered entitlements as the gate enforces them. One place that ingest, consume, reserve
-- and verify all write and that every entitlement value reads, so no two ledgers can drift.
--
--   gate.quota      one row for each tenant, feature and period: the limit, what is held, and the
--                   lock under which guarded use is decided
--   gate.quota_use  what was used, split into slots: ingest is never refused, so it must not queue
--                   for the lock; a sum of slots under the lock is exact all the same
--   gate.hold       reservations: held, then committed, released or expired, all of them final
--   gate.pending    what the plan and its overrides become later: an override starts and ends at
--                   its instant, in the first call that comes after it, and not when a job runs
--
-- Locks are taken in the order gate.tenant, gate.quota (by feature and start), the advisory locks of
-- ingest, gate.quota_use.

CREATE TABLE gate.quota (
  tenant_id    uuid NOT NULL,
  feature_key  text NOT NULL,
  window_start timestamptz NOT NULL,
  window_end   timestamptz NOT NULL,
  meter        text NOT NULL,
  reserved     numeric NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  hard_limit   numeric CHECK (hard_limit >= 0),
  PRIMARY KEY (tenant_id, feature_key, window_start),
  CHECK (window_start < window_end)
) WITH (fillfactor = 70);
CREATE INDEX quota_meter ON gate.quota (tenant_id, meter, window_end);

CREATE TABLE gate.quota_use (
  tenant_id    uuid NOT NULL,
  feature_key  text NOT NULL,
  window_start timestamptz NOT NULL,
  slot         smallint NOT NULL,
  used         numeric NOT NULL,
  PRIMARY KEY (tenant_id, feature_key, window_start, slot),
  FOREIGN KEY (tenant_id, feature_key, window_start)
    REFERENCES gate.quota (tenant_id, feature_key, window_start) ON DELETE CASCADE
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE gate.hold (
  tenant_id  uuid NOT NULL,
  hold_id    uuid NOT NULL,
  feature    text NOT NULL,
  meter      text NOT NULL,
  at         timestamptz NOT NULL,  -- when it was taken: it belongs to the periods of this instant
  quantity   numeric NOT NULL CHECK (quantity > 0),
  state      text NOT NULL DEFAULT 'held'
             CHECK (state IN ('held', 'committed', 'released', 'expired')),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, hold_id)
);
CREATE INDEX hold_due ON gate.hold (tenant_id, meter, expires_at) WHERE state = 'held';

CREATE TABLE gate.pending (
  tenant_id         uuid NOT NULL REFERENCES gate.tenant (tenant_id),
  at                timestamptz NOT NULL,
  daily_limit       bigint CHECK (daily_limit >= 0),
  burst_interval_us bigint CHECK (burst_interval_us > 0),
  burst_depth       bigint CHECK (burst_depth > 0),
  features          text[] NOT NULL,
  hard_limits       jsonb NOT NULL,
  PRIMARY KEY (tenant_id, at)
);

-- Plan what becomes of a tenant's grants. `p_changes` is a list of {at, daily, interval, depth,
-- features, limits: {feature: number or null}}, each the whole state from its instant on.
CREATE FUNCTION gate.put_pending(p_tenant uuid, p_changes jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  DELETE FROM gate.pending p WHERE p.tenant_id = p_tenant;
  INSERT INTO gate.pending
    SELECT p_tenant, c.at, c.daily, c.interval, c.depth, c.features, c.limits
      FROM jsonb_to_recordset(p_changes)
        AS c (at timestamptz, daily bigint, interval bigint, depth bigint,
              features text[], limits jsonb);
  UPDATE gate.tenant t
     SET changes_at = (SELECT min(p.at) FROM gate.pending p WHERE p.tenant_id = p_tenant)
   WHERE t.tenant_id = p_tenant;
END $$;

-- Bring into force what is due, and give the tenant's row as it is then. The gate calls this when
-- gate.tenant.changes_at has passed; of concurrent callers one does the work, the others wait.
CREATE FUNCTION gate.apply_pending(p_tenant uuid) RETURNS gate.tenant
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
  UPDATE gate.quota q SET hard_limit = (due.hard_limits ->> q.feature_key)::numeric
   WHERE q.tenant_id = p_tenant AND q.window_end > due.at AND due.hard_limits ? q.feature_key;
  UPDATE gate.tenant g
     SET daily_limit = due.daily_limit, burst_interval_us = due.burst_interval_us,
         burst_depth = due.burst_depth, features = due.features,
         entitlement_version = g.entitlement_version + 1,
         changes_at = (SELECT min(p.at) FROM gate.pending p WHERE p.tenant_id = p_tenant)
   WHERE g.tenant_id = p_tenant RETURNING * INTO t;
  RETURN t;
END $$;

-- Lock a tenant's grants for a change, and list the quota windows that are open now or later.
CREATE FUNCTION gate.lock_grants(p_tenant uuid)
RETURNS TABLE (feature_key text, window_start timestamptz, window_end timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  PERFORM FROM gate.tenant t WHERE t.tenant_id = p_tenant FOR NO KEY UPDATE;
  -- Past windows too: a change may reopen the longest period (a year), and guarded use that waited
  -- for a change may hold a lock on a window that the change has ended.
  PERFORM FROM gate.quota q
    WHERE q.tenant_id = p_tenant AND q.window_end > clock_timestamp() - interval '400 days'
    ORDER BY q.feature_key, q.window_start FOR NO KEY UPDATE;
  RETURN QUERY SELECT q.feature_key, q.window_start, q.window_end FROM gate.quota q
    WHERE q.tenant_id = p_tenant AND q.window_end > clock_timestamp();
END $$;

-- Open quota windows, or change their limits. A window that opens starts at `used`. A window of
-- another length than before is opened anew: what starts inside it goes, what reaches into it ends
-- where it starts. `p_windows` is a list of {feature, meter, from, to, hard_limit, used}.
CREATE FUNCTION gate.put_quotas(p_tenant uuid, p_windows jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  w record;
BEGIN
  FOR w IN SELECT * FROM jsonb_to_recordset(p_windows)
             AS w (feature text, meter text, "from" timestamptz, "to" timestamptz,
                   hard_limit numeric, used numeric)
            ORDER BY feature, "from"
  LOOP
    UPDATE gate.quota q SET hard_limit = w.hard_limit, meter = w.meter
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
      (tenant_id, feature_key, window_start, window_end, meter, hard_limit, reserved)
    VALUES (p_tenant, w.feature, w."from", w."to", w.meter, w.hard_limit,
            gate.held(p_tenant, w.meter, w."from", w."to", '-infinity'));
    IF w.used <> 0 THEN
      INSERT INTO gate.quota_use (tenant_id, feature_key, window_start, slot, used)
      VALUES (p_tenant, w.feature, w."from", 0, w.used);
    END IF;
  END LOOP;
END $$;

-- Tell the gate everything that a tenant is entitled to, now and later, in one call. Parameters as
-- those of put_limits, put_quotas and put_pending.
CREATE FUNCTION gate.put_grants(
  p_tenant uuid, p_daily bigint, p_interval bigint, p_depth bigint, p_features text[],
  p_windows jsonb, p_changes jsonb
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.put_limits(p_tenant, p_daily, p_interval, p_depth, p_features);
  PERFORM gate.put_quotas(p_tenant, p_windows);
  PERFORM gate.put_pending(p_tenant, p_changes);
END $$;

-- Count use of meters at instants, in whatever windows they fall; never refused.
CREATE FUNCTION gate.add_usage(
  p_tenant uuid[], p_meter text[], p_at timestamptz[], p_amount numeric[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v_tenant uuid;
BEGIN
  FOR v_tenant IN SELECT DISTINCT u FROM unnest(p_tenant) AS u LOOP
    PERFORM gate.assert_tenant(v_tenant);
  END LOOP;
  INSERT INTO gate.quota_use AS kept (tenant_id, feature_key, window_start, slot, used)
  SELECT q.tenant_id, q.feature_key, q.window_start, pg_backend_pid() & 7, sum(i.amount)
    FROM unnest(p_tenant, p_meter, p_at, p_amount) AS i (tenant_id, meter, at, amount)
    JOIN gate.quota q ON q.tenant_id = i.tenant_id AND q.meter = i.meter
                     AND q.window_start <= i.at AND q.window_end > i.at
   GROUP BY q.tenant_id, q.feature_key, q.window_start
   ORDER BY q.tenant_id, q.feature_key, q.window_start
  ON CONFLICT (tenant_id, feature_key, window_start, slot)
    DO UPDATE SET used = kept.used + EXCLUDED.used;
END $$;

-- What reservations hold of a meter in [p_from, p_to) that are not ended; of these, with p_now, only
-- those that have expired by then.
CREATE FUNCTION gate.held(
  p_tenant uuid, p_meter text, p_from timestamptz, p_to timestamptz, p_now timestamptz
) RETURNS numeric LANGUAGE sql STABLE AS $$
  SELECT coalesce(sum(h.quantity), 0) FROM gate.hold h
   WHERE h.tenant_id = p_tenant AND h.meter = p_meter AND h.state = 'held'
     AND h.at >= p_from AND h.at < p_to
     AND (p_now = '-infinity' OR h.expires_at <= p_now)
$$;

-- Lock the quotas of a meter in the periods that contain p_at.
CREATE FUNCTION gate.lock_quotas(p_tenant uuid, p_meter text, p_at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  locked text[];
  standing text[];
BEGIN
  LOOP
    SELECT array_agg(l.key) INTO locked
      FROM (SELECT q.feature_key || ' ' || q.window_start AS key FROM gate.quota q
             WHERE q.tenant_id = p_tenant AND q.meter = p_meter
               AND q.window_start <= p_at AND q.window_end > p_at
             ORDER BY q.feature_key, q.window_start FOR NO KEY UPDATE) AS l;
    -- Whoever waited above for a change of plan may have locked windows that are gone, and does
    -- not see the new ones: look again until what is locked is what stands.
    SELECT array_agg(q.feature_key || ' ' || q.window_start ORDER BY q.feature_key, q.window_start)
      INTO standing
      FROM gate.quota q
     WHERE q.tenant_id = p_tenant AND q.meter = p_meter
       AND q.window_start <= p_at AND q.window_end > p_at;
    EXIT WHEN locked IS NOT DISTINCT FROM standing;
  END LOOP;
END $$;

-- Lock the quotas of a meter as they stand at p_at (NULL: now), and see whether `p_quantity` more
-- fits them all; the tightest is told. Whoever then records the use in the same transaction, at
-- the instant that is told, cannot overshoot: the next caller waits here and sees it. Holds that
-- have expired are let go on the way. Without a quota nothing is exceeded.
CREATE FUNCTION gate.check_quota(
  p_tenant uuid, p_meter text, p_quantity numeric, p_at timestamptz,
  OUT exceeded boolean, OUT at timestamptz, OUT used numeric, OUT reserved numeric,
  OUT hard_limit numeric, OUT feature_key text, OUT window_start timestamptz,
  OUT window_end timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  IF (SELECT t.changes_at <= clock_timestamp() FROM gate.tenant t WHERE t.tenant_id = p_tenant) THEN
    PERFORM gate.apply_pending(p_tenant);
  END IF;
  at := coalesce(p_at, clock_timestamp());
  PERFORM gate.lock_quotas(p_tenant, p_meter, at);
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
END $$;

-- Hold a quantity that gate.check_quota has found to fit, at the instant that it told, in the same
-- transaction.
CREATE FUNCTION gate.put_hold(
  p_tenant uuid, p_hold uuid, p_feature text, p_meter text, p_at timestamptz, p_quantity numeric,
  p_ttl interval, OUT expires_at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  expires_at := clock_timestamp() + p_ttl;
  INSERT INTO gate.hold (tenant_id, hold_id, feature, meter, at, quantity, expires_at)
  VALUES (p_tenant, p_hold, p_feature, p_meter, p_at, p_quantity, put_hold.expires_at);
  UPDATE gate.quota q SET reserved = q.reserved + p_quantity
   WHERE q.tenant_id = p_tenant AND q.meter = p_meter
     AND q.window_start <= p_at AND q.window_end > p_at;
END $$;

-- End a hold as `p_state`, committed or released; `ended` tells whether it was this call that did.
-- Otherwise `state` is what it has become before; NULL where the tenant has no such hold.
CREATE FUNCTION gate.end_hold(
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

-- How quotas stand at an instant: of one feature, of one meter, or all of the tenant's. What is
-- held by reservations that have expired does not count.
CREATE FUNCTION gate.quota_standing(
  p_tenant uuid, p_feature text, p_meter text, p_at timestamptz
) RETURNS TABLE (
  feature_key text, window_start timestamptz, window_end timestamptz, used numeric,
  reserved numeric, hard_limit numeric
) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  RETURN QUERY
  SELECT q.feature_key, q.window_start, q.window_end,
         coalesce((SELECT sum(u.used) FROM gate.quota_use u
                    WHERE u.tenant_id = q.tenant_id AND u.feature_key = q.feature_key
                      AND u.window_start = q.window_start), 0),
         greatest(q.reserved - gate.held(p_tenant, q.meter, q.window_start, q.window_end,
                                         clock_timestamp()), 0),
         q.hard_limit
    FROM gate.quota q
   WHERE q.tenant_id = p_tenant AND q.window_start <= p_at AND q.window_end > p_at
     AND (p_feature IS NULL OR q.feature_key = p_feature)
     AND (p_meter IS NULL OR q.meter = p_meter);
END $$;

-- What the tenant has used of its requests of this UTC day: the very counter that admits them.
CREATE FUNCTION gate.requests_today(p_tenant uuid) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  RETURN (SELECT r.used FROM gate.read_counter(p_tenant, gate.now_us() / 86400000000) AS r);
END $$;

-- Tenants with a quota whose last open window ends before an instant. For staff.
CREATE FUNCTION gate.tenants_running_out(p_before timestamptz) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT DISTINCT q.tenant_id FROM gate.quota q
   GROUP BY q.tenant_id, q.feature_key HAVING max(q.window_end) < p_before
$$;

-- Forget windows that ended before p_before, and holds that ended with them. For staff.
CREATE FUNCTION gate.forget_quotas(p_before timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v_gone bigint;
BEGIN
  DELETE FROM gate.hold h WHERE h.expires_at < p_before;
  DELETE FROM gate.quota q WHERE q.window_end < p_before;
  GET DIAGNOSTICS v_gone = ROW_COUNT;
  RETURN v_gone;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA gate FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  gate.lock_grants, gate.put_grants, gate.add_usage, gate.check_quota, gate.put_hold,
  gate.end_hold, gate.quota_standing, gate.requests_today
TO innkeeper_app, innkeeper_staff;
GRANT EXECUTE ON FUNCTION gate.tenants_running_out, gate.forget_quotas TO innkeeper_staff;
