-- Many callers admitted in one statement: docs/adr/0136.
--
-- Here is what nearly every request is: a valid key of an active tenant, within all limits. Whoever
-- is anything else, or comes as more has to be done than counting (a quarter of an hour has ended, an
-- alarm is due, a change comes into force), is not counted here and asks gate.admit alone. So each
-- refusal and each turn of the clock has one way only.

-- Admit requests with tenants' keys, as gate.admit would one after the other.
--
-- p_public_id  keys, each once
-- p_macs       of all of them in their order, as many for each as there are peppers
-- p_ip         the address that all requests of the key come from; NULL where there are several
-- p_many       requests of each key
-- place ...    which keys are admitted, from 1 and in order, and as whose; parallel arrays
-- subject, used, tat  how the counters of these keys and tenants stand when all are counted
-- spoilt       tenants whose keys are not admitted although they stand in the arrays
--
-- Of the keys of one tenant all are admitted or none is: what remains of a limit is for those who
-- then ask alone to share. Rows are locked in one order, all keys before all tenants, as gate.consume
-- does with two. The transaction ends without waiting for the disk.
CREATE FUNCTION gate.admit_many(
  p_public_id text[], p_macs bytea[], p_ip inet[], p_many bigint[], p_permission text,
  OUT now_us bigint, OUT place bigint[], OUT key_id uuid[], OUT counts_as uuid[],
  OUT lineage uuid[], OUT tenant_id uuid[], OUT permissions text[], OUT config_version bigint[],
  OUT entitlement_version bigint[], OUT key_daily bigint[], OUT key_interval bigint[],
  OUT key_depth bigint[], OUT tenant_daily bigint[], OUT tenant_interval bigint[],
  OUT tenant_depth bigint[], OUT subject uuid[], OUT used bigint[], OUT tat bigint[],
  OUT spoilt uuid[]
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '50ms'
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off AS $$
DECLARE
  v_peppers CONSTANT int := cardinality(p_macs) / cardinality(p_public_id);
  v_now CONSTANT bigint := gate.now_us();
  v_window CONSTANT bigint := v_now / 86400000000;
  v_bucket CONSTANT bigint := v_now / 900000000;
  v_wanted uuid[];
  v_before gate.counter[];
BEGIN
  WITH off AS MATERIALIZED (
    SELECT set_config('app.tenant', '', false), set_config('synchronous_commit', 'off', true)
  ), asked AS MATERIALIZED (
    SELECT a.place, a.many, c.key_id, coalesce(c.counts_as, c.key_id) AS counts_as, c.lineage, c.tenant_id, c.permissions,
           t.config_version, t.entitlement_version,
           -- As gate.limits_of.
           CASE WHEN c.daily_inherits THEN t.daily_limit ELSE c.daily_limit END AS key_daily,
           CASE WHEN c.burst_inherits THEN t.burst_interval_us ELSE c.burst_interval_us END
             AS key_interval,
           CASE WHEN c.burst_inherits THEN t.burst_depth ELSE c.burst_depth END AS key_depth,
           t.daily_limit AS tenant_daily,
           CASE WHEN c.burst_inherits OR c.burst_interval_us IS NOT NULL
                THEN t.burst_interval_us END AS tenant_interval,
           CASE WHEN c.burst_inherits OR c.burst_interval_us IS NOT NULL
                THEN t.burst_depth END AS tenant_depth
      FROM off CROSS JOIN unnest(p_public_id, p_ip, p_many) WITH ORDINALITY
             AS a (public_id, ip, many, place)
      JOIN gate.credential c ON c.public_id = a.public_id
       AND c.mac = ANY (p_macs[(a.place - 1) * v_peppers + 1 : a.place * v_peppers])
      JOIN gate.tenant t ON t.tenant_id = c.tenant_id
     WHERE c.kind = 'tenant' AND c.status = 'active' AND t.status = 'active'
       AND (c.expires_at IS NULL OR c.expires_at > clock_timestamp())
       AND (t.changes_at IS NULL OR t.changes_at > clock_timestamp())
       AND (c.cidrs = '{}' OR a.ip <<= ANY (c.cidrs))
       AND gate.permits(c.permissions, p_permission)
  ), wanted AS MATERIALIZED (
    -- A subject may have two rows here: a key of a tenant may be free of its burst, two keys may
    -- count as one. Only one of them is counted, so that the tenant is spoilt.
    SELECT 0 AS turn, a.counts_as AS subject, a.tenant_id AS family, a.key_daily AS daily,
           a.key_interval AS period, a.key_depth AS depth, a.many FROM asked a
    UNION ALL
    SELECT 1, a.tenant_id, a.tenant_id, a.tenant_daily, a.tenant_interval, a.tenant_depth,
           sum(a.many)::bigint
      FROM asked a GROUP BY a.tenant_id, a.tenant_daily, a.tenant_interval, a.tenant_depth
  ), counted AS (
    UPDATE gate.counter c SET
      used        = CASE WHEN c.window_id < v_window THEN 0 ELSE c.used END + w.many,
      window_id   = greatest(c.window_id, v_window),
      tat_us      = CASE WHEN w.period IS NULL THEN c.tat_us
                         ELSE greatest(c.tat_us, v_now) + w.many * w.period END,
      bucket_used = CASE WHEN c.bucket_id < v_bucket THEN 0 ELSE c.bucket_used END + w.many,
      bucket_id   = greatest(c.bucket_id, v_bucket),
      last_us     = greatest(c.last_us, v_now)
    FROM (SELECT * FROM wanted ORDER BY wanted.turn, wanted.subject) AS w
    WHERE c.subject = w.subject
      AND (w.daily IS NULL
           OR CASE WHEN c.window_id < v_window THEN 0 ELSE c.used END + w.many <= w.daily)
      AND (w.period IS NULL
           OR greatest(c.tat_us, v_now) + w.many * w.period - v_now <= w.depth * w.period)
      AND (c.bucket_id >= v_bucket OR c.bucket_used = 0)
      AND (w.turn = 0 OR v_window * 1099511627776 + w.many
           + CASE WHEN c.window_id < v_window THEN 0 ELSE c.used END < c.alarm_at)
    RETURNING c.subject, new.used, new.tat_us, old AS before
  )
  SELECT a.*, (SELECT array_agg(w.family) FROM wanted w), d.*
    INTO place, key_id, counts_as, lineage, tenant_id, permissions, config_version,
         entitlement_version, key_daily, key_interval, key_depth, tenant_daily, tenant_interval,
         tenant_depth, v_wanted, subject, used, tat, v_before
    FROM (SELECT array_agg(a.place), array_agg(a.key_id), array_agg(a.counts_as),
                 array_agg(a.lineage), array_agg(a.tenant_id),
                 array_agg(array_to_string(a.permissions, '|')), array_agg(a.config_version),
                 array_agg(a.entitlement_version), array_agg(a.key_daily),
                 array_agg(a.key_interval), array_agg(a.key_depth), array_agg(a.tenant_daily),
                 array_agg(a.tenant_interval), array_agg(a.tenant_depth) FROM asked a) AS a,
         (SELECT array_agg(d.subject), array_agg(d.used), array_agg(d.tat_us),
                 array_agg(d.before) FROM counted d) AS d;
  now_us := v_now;
  IF cardinality(v_wanted) IS DISTINCT FROM cardinality(v_before) THEN
    SELECT array_agg(w.family) INTO spoilt
      FROM (SELECT u.family, count(*) AS many FROM unnest(v_wanted) AS u (family) GROUP BY 1) AS w
      LEFT JOIN (SELECT b.tenant_id, count(*) AS many FROM unnest(v_before) AS b GROUP BY 1) AS d
        ON d.tenant_id = w.family
     WHERE d.many IS DISTINCT FROM w.many;
    -- The rows are still locked by this transaction: nobody saw what is taken back.
    UPDATE gate.counter c
       SET used = b.used, window_id = b.window_id, tat_us = b.tat_us, bucket_id = b.bucket_id,
           bucket_used = b.bucket_used, last_us = b.last_us
      FROM unnest(v_before) AS b WHERE c.subject = b.subject AND b.tenant_id = ANY (spoilt);
  END IF;
END $$;

REVOKE ALL ON FUNCTION gate.admit_many FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate.admit_many TO innkeeper_app, innkeeper_staff;
