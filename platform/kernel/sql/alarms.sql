-- Alarms: telling that use came near a level, without a cost to those who use.
--
-- Use of a quota lies in slots (gate.quota_use) that no ingest locks together, so no transaction can
-- see that the sum has passed a level. But a sum cannot reach a level while each slot stays below a
-- share of the way: `alarm_at` is that share. The UPDATE that takes a slot past it fires a trigger,
-- whose condition is all that any other UPDATE pays, and tells `quota.due` in the outbox, in its own
-- transaction. The consumer adds up, decides and sets the shares anew (docs/adr/0099). A new slot has
-- no share and tells at once. A slot that has told is silent until it is armed again.
--
-- The gate's request counter is one row a tenant: gate.consume sees the very request that crosses,
-- and the first of a day. It is replaced here for that comparison, and is otherwise that of gate.sql.

ALTER TABLE gate.quota_use ADD COLUMN alarm_at numeric NOT NULL DEFAULT 'Infinity';
ALTER TABLE gate.counter ADD COLUMN alarm_at bigint NOT NULL DEFAULT 0;
ALTER TABLE gate.tenant
  ADD COLUMN request_thresholds smallint[] NOT NULL DEFAULT '{50,80,100}';

-- Store a `quota.due` event in the open transaction; see kernel.gate.alarms.QuotaDue.
CREATE FUNCTION gate.tell_due(p_tenant uuid, p_payload jsonb, p_delay interval) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  INSERT INTO public.kernel_outbox (id, tenant_id, name, payload, occurred_at, available_at)
  VALUES (uuidv7(), p_tenant, 'quota.due',
          '{"feature": null, "start": null, "day": null, "used": null}'::jsonb || p_payload,
          clock_timestamp(), clock_timestamp() + p_delay)
$$;

CREATE FUNCTION gate.tell_slot() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    UPDATE gate.quota_use u SET alarm_at = 'Infinity'
     WHERE u.tenant_id = NEW.tenant_id AND u.feature_key = NEW.feature_key
       AND u.window_start = NEW.window_start AND u.slot = NEW.slot;
  END IF;
  PERFORM gate.tell_due(NEW.tenant_id, jsonb_build_object(
    'feature', NEW.feature_key, 'start', NEW.window_start), interval '0');
  RETURN NULL;
END $$;
CREATE TRIGGER alarm_new AFTER INSERT ON gate.quota_use
  FOR EACH ROW EXECUTE FUNCTION gate.tell_slot();
CREATE TRIGGER alarm AFTER UPDATE ON gate.quota_use
  FOR EACH ROW WHEN (NEW.used >= NEW.alarm_at) EXECUTE FUNCTION gate.tell_slot();

-- The levels of a daily limit, in requests, ascending; NULL where there is nothing to watch.
CREATE FUNCTION gate.request_levels(p_tenant uuid) RETURNS bigint[]
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT array_agg(ceil(t.daily_limit * percent / 100.0)::bigint ORDER BY percent)
    FROM gate.tenant t, unnest(t.request_thresholds) AS percent
   WHERE t.tenant_id = p_tenant AND t.daily_limit > 0
$$;

-- The next level above what is used, as gate.counter.alarm_at keeps it: the day in the upper bits,
-- so that one comparison also finds the first request of another day.
CREATE FUNCTION gate.next_alarm(p_levels bigint[], p_window bigint, p_used bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
  SELECT coalesce(p_window * 1099511627776 + min(l), (p_window + 1) * 1099511627776)
    FROM unnest(p_levels) AS l WHERE l > p_used
$$;

-- A request has passed the alarm: arm for the next level, and tell if one lies between.
CREATE FUNCTION gate.tell_requests(
  p_tenant uuid, p_window bigint, p_before bigint, p_used bigint
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  levels bigint[] := gate.request_levels(p_tenant);
BEGIN
  UPDATE gate.counter c SET alarm_at = gate.next_alarm(levels, p_window, p_used)
   WHERE c.subject = p_tenant;
  IF EXISTS (SELECT FROM unnest(levels) AS l WHERE l > p_before AND l <= p_used) THEN
    PERFORM gate.tell_due(p_tenant, jsonb_build_object('day', p_window, 'used', p_used),
                          interval '0');
  END IF;
END $$;

-- Count `p_cost` requests of a key and its tenant, both or neither. Order key, tenant: no deadlock,
-- and the hottest row is held shortest. A refusal leaves both rows as they were. The answer is raw:
-- uses and theoretical arrival times after the call; kernel.gate.standing turns them into limits.
CREATE OR REPLACE FUNCTION gate.consume(
  p_key uuid, p_tenant uuid, p_cost bigint, p_now bigint,
  p_key_daily bigint, p_key_interval bigint, p_key_depth bigint,
  p_tenant_daily bigint, p_tenant_interval bigint, p_tenant_depth bigint,
  OUT admitted boolean, OUT key_used bigint, OUT key_tat bigint,
  OUT tenant_used bigint, OUT tenant_tat bigint
) LANGUAGE plpgsql AS $$
DECLARE
  v_window bigint := p_now / 86400000000;
  v_bucket bigint := p_now / 900000000;
  was_window bigint; was_used bigint; was_tat bigint;
  was_bucket bigint; was_bucket_used bigint; was_last bigint;
  t_bucket bigint; t_bucket_used bigint; t_alarm bigint;
BEGIN
  UPDATE gate.counter c SET
    used        = CASE WHEN c.window_id < v_window THEN 0 ELSE c.used END + p_cost,
    window_id   = greatest(c.window_id, v_window),
    tat_us      = CASE WHEN p_key_interval IS NULL THEN c.tat_us
                       ELSE greatest(c.tat_us, p_now) + p_cost * p_key_interval END,
    bucket_used = CASE WHEN c.bucket_id < v_bucket THEN 0 ELSE c.bucket_used END + p_cost,
    bucket_id   = greatest(c.bucket_id, v_bucket),
    last_us     = greatest(c.last_us, p_now)
  WHERE c.subject = p_key
    AND (p_key_daily IS NULL
         OR CASE WHEN c.window_id < v_window THEN 0 ELSE c.used END + p_cost <= p_key_daily)
    AND (p_key_interval IS NULL
         OR greatest(c.tat_us, p_now) + p_cost * p_key_interval - p_now
            <= p_key_depth * p_key_interval)
  RETURNING new.used, new.tat_us, old.window_id, old.used, old.tat_us,
            old.bucket_id, old.bucket_used, old.last_us
  INTO key_used, key_tat, was_window, was_used, was_tat, was_bucket, was_bucket_used, was_last;
  IF NOT FOUND THEN
    admitted := false;
    SELECT r.used, r.tat INTO key_used, key_tat FROM gate.read_counter(p_key, v_window) AS r;
    SELECT r.used, r.tat INTO tenant_used, tenant_tat FROM gate.read_counter(p_tenant, v_window) AS r;
    RETURN;
  END IF;

  UPDATE gate.counter c SET
    used        = CASE WHEN c.window_id < v_window THEN 0 ELSE c.used END + p_cost,
    window_id   = greatest(c.window_id, v_window),
    tat_us      = CASE WHEN p_tenant_interval IS NULL THEN c.tat_us
                       ELSE greatest(c.tat_us, p_now) + p_cost * p_tenant_interval END,
    bucket_used = CASE WHEN c.bucket_id < v_bucket THEN 0 ELSE c.bucket_used END + p_cost,
    bucket_id   = greatest(c.bucket_id, v_bucket),
    last_us     = greatest(c.last_us, p_now)
  WHERE c.subject = p_tenant
    AND (p_tenant_daily IS NULL
         OR CASE WHEN c.window_id < v_window THEN 0 ELSE c.used END + p_cost <= p_tenant_daily)
    AND (p_tenant_interval IS NULL
         OR greatest(c.tat_us, p_now) + p_cost * p_tenant_interval - p_now
            <= p_tenant_depth * p_tenant_interval)
  RETURNING new.used, new.tat_us, old.bucket_id, old.bucket_used, new.alarm_at
  INTO tenant_used, tenant_tat, t_bucket, t_bucket_used, t_alarm;
  IF NOT FOUND THEN
    -- The key's row is still locked by this transaction: nobody saw what is taken back.
    UPDATE gate.counter c
       SET used = was_used, window_id = was_window, tat_us = was_tat,
           bucket_id = was_bucket, bucket_used = was_bucket_used, last_us = was_last
     WHERE c.subject = p_key;
    admitted := false;
    SELECT r.used, r.tat INTO key_used, key_tat FROM gate.read_counter(p_key, v_window) AS r;
    SELECT r.used, r.tat INTO tenant_used, tenant_tat FROM gate.read_counter(p_tenant, v_window) AS r;
    RETURN;
  END IF;

  admitted := true;
  IF was_bucket < v_bucket AND was_bucket_used > 0 THEN
    PERFORM gate.close_bucket(p_tenant, p_key, was_bucket, was_bucket_used);
  END IF;
  IF t_bucket < v_bucket AND t_bucket_used > 0 THEN
    PERFORM gate.close_bucket(p_tenant, p_tenant, t_bucket, t_bucket_used);
  END IF;
  IF v_window * 1099511627776 + tenant_used >= t_alarm THEN
    PERFORM gate.tell_requests(p_tenant, v_window, tenant_used - p_cost, tenant_used);
  END IF;
END $$;

-- What was planned has come into force (gate.apply_pending): every level may lie elsewhere.
CREATE FUNCTION gate.tell_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.tell_due(NEW.tenant_id, '{}', interval '0');
  RETURN NULL;
END $$;
CREATE TRIGGER alarm AFTER UPDATE OF changes_at ON gate.tenant
  FOR EACH ROW WHEN (OLD.changes_at <= clock_timestamp()
                     AND OLD.changes_at IS DISTINCT FROM NEW.changes_at)
  EXECUTE FUNCTION gate.tell_change();

-- Lock the slots of a period, in all of its windows, so that the caller's next statement sees all
-- that they hold, and tell whether that worked: who writes for long (a lock not to be had in 50 ms)
-- must not hold up others.
CREATE FUNCTION gate.lock_use(
  p_tenant uuid, p_feature text, p_from timestamptz, p_to timestamptz
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '50ms' AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  PERFORM FROM gate.quota_use u
    WHERE u.tenant_id = p_tenant AND u.feature_key = p_feature
      AND u.window_start >= p_from AND u.window_start < p_to
    ORDER BY u.window_start, u.slot FOR NO KEY UPDATE;
  RETURN true;
EXCEPTION WHEN lock_not_available THEN
  RETURN false;
END $$;

-- Let the locked slots of a period tell before their sum grows by p_room; NULL: never. The room is
-- that of the window that is used at p_at: half of it goes by what each slot has used, half evenly.
-- Shares are cut, so their sum is never more. Other windows of the period tell of any late use.
CREATE FUNCTION gate.arm_use(
  p_tenant uuid, p_feature text, p_from timestamptz, p_to timestamptz, p_at timestamptz,
  p_room numeric
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v_current timestamptz := (
    SELECT max(q.window_start) FROM gate.quota q
     WHERE q.tenant_id = p_tenant AND q.feature_key = p_feature
       AND q.window_start >= p_from AND q.window_start < p_to AND q.window_start <= p_at);
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  UPDATE gate.quota_use u
     SET alarm_at = coalesce(u.used + p_room * s.share, 'Infinity')
    FROM (SELECT k.slot,
                 trunc(0.5 / count(*) OVER () + CASE
                   WHEN sum(greatest(k.used, 0)) OVER () > 0
                   THEN 0.5 * greatest(k.used, 0) / sum(greatest(k.used, 0)) OVER ()
                   ELSE 0.5 / count(*) OVER () END, 6) AS share
            FROM gate.quota_use k
           WHERE k.tenant_id = p_tenant AND k.feature_key = p_feature
             AND k.window_start = v_current) AS s
   WHERE u.tenant_id = p_tenant AND u.feature_key = p_feature AND u.window_start = v_current
     AND u.slot = s.slot;
  UPDATE gate.quota_use u
     SET alarm_at = CASE WHEN p_room IS NULL THEN 'Infinity' ELSE u.used + 1e-12 END
   WHERE u.tenant_id = p_tenant AND u.feature_key = p_feature
     AND u.window_start >= p_from AND u.window_start < p_to AND u.window_start <> v_current;
END $$;

-- Watch a tenant's requests at these percentages of its daily limit, as that is now; give what it
-- has used of the day and the day. Whoever crosses a level later tells.
CREATE FUNCTION gate.arm_requests(
  p_tenant uuid, p_thresholds smallint[], OUT day bigint, OUT used bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  UPDATE gate.tenant t SET request_thresholds = p_thresholds
   WHERE t.tenant_id = p_tenant AND t.request_thresholds <> p_thresholds;
  day := gate.now_us() / 86400000000;
  UPDATE gate.counter c
     SET alarm_at = gate.next_alarm(gate.request_levels(p_tenant), arm_requests.day,
                                    CASE WHEN c.window_id < arm_requests.day THEN 0 ELSE c.used END)
   WHERE c.subject = p_tenant
  RETURNING CASE WHEN c.window_id < arm_requests.day THEN 0 ELSE c.used END INTO used;
END $$;

-- Admitted requests of a tenant since the start of a 15-minute bucket, the open one included.
CREATE FUNCTION gate.requests_since(p_tenant uuid, p_bucket bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  RETURN (SELECT coalesce(sum(u.used), 0) FROM (
    SELECT t.used FROM gate.tally t
     WHERE t.tenant_id = p_tenant AND t.subject = p_tenant AND t.bucket_id >= p_bucket
    UNION ALL
    SELECT c.bucket_used FROM gate.counter c
     WHERE c.subject = p_tenant AND c.bucket_id >= p_bucket) AS u);
END $$;

-- Bring into force, for tenants that nobody asks about, what is due. For staff.
CREATE FUNCTION gate.apply_due() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v_tenant uuid;
  v_many bigint := 0;
BEGIN
  FOR v_tenant IN SELECT t.tenant_id FROM gate.tenant t WHERE t.changes_at <= clock_timestamp()
                   ORDER BY t.tenant_id LOOP
    PERFORM gate.apply_pending(v_tenant);
    v_many := v_many + 1;
  END LOOP;
  RETURN v_many;
END $$;
CREATE INDEX tenant_changes ON gate.tenant (changes_at) WHERE changes_at IS NOT NULL;

-- What is used already was never watched.
INSERT INTO public.kernel_outbox (id, tenant_id, name, payload, occurred_at, available_at)
SELECT uuidv7(), t.tenant_id, 'quota.due',
       '{"feature": null, "start": null, "day": null, "used": null}', now(), now()
  FROM gate.tenant t WHERE t.status <> 'closed';

REVOKE ALL ON FUNCTION gate.tell_due, gate.tell_slot, gate.tell_requests, gate.tell_change,
  gate.next_alarm,
  gate.request_levels, gate.lock_use, gate.arm_use, gate.arm_requests, gate.apply_due,
  gate.requests_since FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate.lock_use, gate.arm_use, gate.arm_requests, gate.apply_due,
  gate.tell_due TO innkeeper_staff;
GRANT EXECUTE ON FUNCTION gate.requests_since TO innkeeper_app, innkeeper_staff;
