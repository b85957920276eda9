-- Single events of several tenants' keys for less: docs/adr/0137. Replaces the function of groups.sql;
-- what it promises stands there.
--
-- A group is small, so what it costs is mostly that a statement starts. All that is written goes in
-- two statements: the keys that tell repeats, since only a block of its own can take them back, and
-- everything else. Nested loops are right for so few rows. A group with a repeat in it, which is
-- rare, goes the way of a batch. What an event measures and what a roll-up takes is the text of
-- take.sql, word for word; a test compares them.
CREATE OR REPLACE FUNCTION billing_usage_ingest_group(
  p_tenant uuid[], p_public_id text[], p_public_ids text[], p_macs bytea[],
  p_id text[], p_source text[], p_type text[], p_subject text[],
  p_time timestamptz[], p_data jsonb[], p_schema text[]
) RETURNS bigint[] LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '50ms'
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off AS $$
DECLARE
  v_now CONSTANT timestamptz := clock_timestamp();
  v_shard smallint := pg_backend_pid() & 3;
  v_free boolean;
  v_repeats boolean := false;
  v_tenants uuid[];
  v_keys uuid[];
  v_seqs bigint[];
  v_valued billing_usage_value[];
BEGIN
  SELECT array_agg(found.tenant_id), array_agg(found.key_id), array_agg(nextval('billing_usage_seq'))
    INTO v_tenants, v_keys, v_seqs
    FROM unnest(p_public_id) AS sent (public_id)
    LEFT JOIN LATERAL (
      SELECT c.tenant_id, c.key_id
        FROM unnest(p_public_ids, p_macs) AS p (public_id, mac)
        JOIN gate.credential c ON c.public_id = p.public_id AND c.mac = p.mac
       WHERE p.public_id = sent.public_id AND c.kind = 'tenant'
    ) AS found ON true;
  IF array_position(v_tenants, NULL) IS NOT NULL OR v_tenants IS DISTINCT FROM p_tenant
     OR cardinality(p_id) <> cardinality(v_tenants) THEN
    RAISE EXCEPTION 'an event is not of the tenant whose key was presented with it'
      USING ERRCODE = 'insufficient_privilege';
  END IF;

  -- A recount of a day waits for us, or we wait for it: the next statement's snapshot sees it done.
  -- In the same breath the first slot that gate.slot would try, which nearly always is free.
  SELECT count(pg_advisory_xact_lock_shared(key)) > 0
         AND bool_and(pg_try_advisory_xact_lock(uuid_hash(tenant), v_shard)) INTO v_free FROM (
    SELECT DISTINCT billing_usage_lock(tenant, type, coalesce(time, v_now)) AS key, tenant
      FROM unnest(v_tenants, p_type, p_time) AS u (tenant, type, time) ORDER BY 1
  ) AS keys;
  IF NOT v_free THEN
    v_shard := gate.slot(v_tenants);
  END IF;

  BEGIN
    INSERT INTO billing_usage_seen (scope, source, id, seq, time)
    SELECT scope, source, id, seq, coalesce(time, v_now)
      FROM unnest(v_tenants, p_source, p_id, v_seqs, p_time) AS u (scope, source, id, seq, time)
     ORDER BY id COLLATE "C", source COLLATE "C", scope, seq;
  EXCEPTION WHEN unique_violation THEN
    v_repeats := true;
  END;
  IF v_repeats THEN
    RETURN billing_usage_take(v_tenants, v_tenants, v_keys, p_id, p_source, p_type, p_subject,
                              p_time, p_data, p_schema, NULL);
  END IF;

  WITH event AS MATERIALIZED (
    SELECT tenant_id, key_id, seq, id, source, type, subject, coalesce(time, v_now) AS time, data,
           dataschema
    FROM unnest(v_tenants, v_keys, v_seqs, p_id, p_source, p_type, p_subject, p_time, p_data, p_schema)
      AS u (tenant_id, key_id, seq, id, source, type, subject, time, data, dataschema)
  ), stored AS (
    INSERT INTO billing_usage_event
      (tenant_id, time, seq, scope, key_id, source, id, type, subject, data, dataschema, ingested_at)
    SELECT tenant_id, time, seq, tenant_id, key_id, source, id, type, subject, data, dataschema, v_now
    FROM event
  ), measured AS MATERIALIZED (
    SELECT event.tenant_id, meter.id AS meter_id, meter.slug, meter.aggregation, event.time, event.seq,
           event.subject, billing_usage_bucket(event.time) AS bucket,
           billing_usage_groups(event.data, meter.group_paths) AS groups,
           CASE meter.aggregation WHEN 'UNIQUE_COUNT' THEN event.data #>> meter.value_path END AS value,
           CASE meter.aggregation WHEN 'COUNT' THEN 1 WHEN 'UNIQUE_COUNT' THEN NULL
             ELSE billing_usage_number(event.data #> meter.value_path) END AS number
    FROM event JOIN billing_meter AS meter ON meter.event_type = event.type
     AND meter.scope IN ('00000000-0000-0000-0000-000000000000', event.tenant_id)
    WHERE meter.deleted_at IS NULL AND meter.origin = 'events'
      AND (meter.event_from IS NULL OR event.time >= meter.event_from)
      AND event.time <= v_now + interval '5 minutes'
  ), counted AS (
    INSERT INTO billing_usage_rollup AS kept
      (tenant_id, meter_id, bucket, subject, groups_hash, shard, groups,
       count, total, lowest, highest, latest, latest_at, latest_seq, first_at)
    SELECT tenant_id, meter_id, bucket, subject, md5(groups::text)::uuid, v_shard, groups,
           count(*), sum(number), min(number), max(number),
           -- The latest is the greatest of arrays that begin with its place: no sort by time.
           (max(ARRAY[extract(epoch FROM time), seq, number]))[3], max(time),
           (max(ARRAY[extract(epoch FROM time), seq, number]))[2]::bigint, min(time)
    FROM measured WHERE number IS NOT NULL OR value IS NOT NULL
    GROUP BY tenant_id, meter_id, bucket, subject, groups
    ORDER BY tenant_id, meter_id, bucket, subject, md5(groups::text)::uuid
    -- {{merge}}
  ), charged AS (
    -- As gate.count_usage.
    INSERT INTO gate.quota_use AS kept (tenant_id, feature_key, window_start, slot, used)
    SELECT q.tenant_id, q.feature_key, q.window_start, v_shard, sum(measured.number)
      FROM measured
      JOIN gate.quota q ON q.tenant_id = measured.tenant_id AND q.meter = measured.slug
                       AND q.window_start <= measured.time AND q.window_end > measured.time
     WHERE measured.aggregation IN ('SUM', 'COUNT') AND measured.number IS NOT NULL
     GROUP BY q.tenant_id, q.feature_key, q.window_start
     ORDER BY q.tenant_id, q.feature_key, q.window_start
    ON CONFLICT (tenant_id, feature_key, window_start, slot)
      DO UPDATE SET used = kept.used + EXCLUDED.used
  )
  SELECT array_agg(ROW(tenant_id, meter_id, bucket, subject, md5(groups::text)::uuid,
                       md5(value)::uuid, groups, value)::billing_usage_value) INTO v_valued
    FROM measured WHERE value IS NOT NULL;
  IF v_valued IS NOT NULL THEN
    INSERT INTO billing_usage_value
      (tenant_id, meter_id, bucket, subject, groups_hash, value_hash, groups, value)
    SELECT DISTINCT v.tenant_id, v.meter_id, v.bucket, v.subject, v.groups_hash, v.value_hash,
           v.groups, v.value
      FROM unnest(v_valued) AS v ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT DO NOTHING;
  END IF;
  RETURN ARRAY(SELECT generate_series(1, cardinality(p_id)));
END $$;
