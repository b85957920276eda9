-- Taking events for less: docs/adr/0120. Replaces the two functions that write them; what they
-- promise stands in groups.sql and ingest.sql.

-- Its body casts text to text[], which is not immutable: declared so, it was never inlined, and
-- each event paid for starting a function.
ALTER FUNCTION billing_usage_groups(jsonb, text[]) STABLE;

-- Rows go in by sorted key as before; the id leads, which tells most rows apart by itself.
CREATE OR REPLACE FUNCTION billing_usage_take(
  p_scope uuid[], p_tenant uuid[], p_key uuid[],
  p_id text[], p_source text[], p_type text[], p_subject text[],
  p_time timestamptz[], p_data jsonb[], p_schema text[], p_hints uuid[]
) RETURNS bigint[] LANGUAGE plpgsql SET enable_nestloop = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_now timestamptz := clock_timestamp();
  v_tenants uuid[] := p_tenant;
  v_scopes uuid[];
  v_types text[];
  v_shard smallint;
  v_new bigint[];
  v_seqs bigint[];
  v_fresh boolean[];
  v_slugs text[];
  v_times timestamptz[];
  v_amounts numeric[];
BEGIN
  IF array_position(p_tenant, NULL) IS NOT NULL THEN
    SELECT array_agg(coalesce(given, looked_up) ORDER BY place) INTO v_tenants
      FROM unnest(p_tenant, billing_usage_tenants(p_subject, p_hints))
           WITH ORDINALITY AS t (given, looked_up, place);
  END IF;

  -- A recount of a day waits for us, or we wait for it: the next statement's snapshot sees it done.
  PERFORM pg_advisory_xact_lock_shared(key) FROM (
    SELECT DISTINCT billing_usage_lock(tenant, type, coalesce(time, v_now)) AS key
    FROM unnest(v_tenants, p_type, p_time) AS u (tenant, type, time) ORDER BY 1
  ) AS keys;
  SELECT array_agg(DISTINCT tenant), array_agg(DISTINCT type) INTO v_scopes, v_types
    FROM unnest(v_tenants, p_type) AS t (tenant, type);
  v_shard := gate.slot(v_scopes);
  v_scopes := v_scopes || '00000000-0000-0000-0000-000000000000'::uuid;

  SELECT array_agg(nextval('billing_usage_seq')) INTO v_seqs
    FROM generate_series(1, cardinality(p_id));
  -- Nearly always all are new, and an insert that knows of no conflict costs a third of one that
  -- does: no look at the index before, no second look at the row after.
  BEGIN
    INSERT INTO billing_usage_seen (scope, source, id, seq, time)
    SELECT scope, source, id, seq, coalesce(time, v_now)
      FROM unnest(p_scope, p_source, p_id, v_seqs, p_time) AS u (scope, source, id, seq, time)
     ORDER BY id COLLATE "C", source COLLATE "C", scope, seq;
  EXCEPTION WHEN unique_violation THEN
    WITH fresh AS (
      INSERT INTO billing_usage_seen (scope, source, id, seq, time)
      SELECT scope, source, id, seq, coalesce(time, v_now)
        FROM unnest(p_scope, p_source, p_id, v_seqs, p_time) AS u (scope, source, id, seq, time)
       ORDER BY id COLLATE "C", source COLLATE "C", scope, seq
      ON CONFLICT DO NOTHING RETURNING seq
    ) SELECT array_agg(fresh.seq IS NOT NULL ORDER BY place) INTO v_fresh
        FROM unnest(v_seqs) WITH ORDINALITY AS u (seq, place) LEFT JOIN fresh USING (seq);
  END;

  WITH event AS MATERIALIZED (
    SELECT u.seq, place, scope, tenant_id, key_id, id, source, type, subject,
           coalesce(time, v_now) AS time, data, dataschema
    FROM unnest(p_scope, v_tenants, p_key, p_id, p_source, p_type, p_subject, p_time, p_data, p_schema,
                v_seqs, v_fresh)
      WITH ORDINALITY AS u (scope, tenant_id, key_id, id, source, type, subject, time, data,
                            dataschema, seq, fresh, place)
    WHERE fresh IS NOT FALSE
  ), stored AS (
    INSERT INTO billing_usage_event
      (tenant_id, time, seq, scope, key_id, source, id, type, subject, data, dataschema, ingested_at)
    SELECT tenant_id, time, seq, scope, key_id, source, id, type, subject, data, dataschema, v_now
    FROM event
  ), measured AS MATERIALIZED (
    SELECT event.tenant_id, meter.id AS meter_id, meter.slug, meter.aggregation, event.time, event.seq,
           event.subject, billing_usage_bucket(event.time) AS bucket,
           billing_usage_groups(event.data, meter.group_paths) AS groups,
           CASE meter.aggregation WHEN 'UNIQUE_COUNT' THEN event.data #>> meter.value_path END AS value,
           CASE meter.aggregation WHEN 'COUNT' THEN 1 WHEN 'UNIQUE_COUNT' THEN NULL
             ELSE billing_usage_number(event.data #> meter.value_path) END AS number
    FROM event JOIN billing_meter AS meter ON meter.event_type = event.type
    WHERE meter.scope = ANY (v_scopes) AND meter.event_type = ANY (v_types)
      AND meter.scope IN ('00000000-0000-0000-0000-000000000000', event.tenant_id)
      AND meter.deleted_at IS NULL AND meter.origin = 'events'
      AND (meter.event_from IS NULL OR event.time >= meter.event_from)
      AND event.tenant_id IS NOT NULL AND event.time <= v_now + interval '5 minutes'
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
  ), distinguished AS (
    INSERT INTO billing_usage_value
      (tenant_id, meter_id, bucket, subject, groups_hash, value_hash, groups, value)
    SELECT DISTINCT tenant_id, meter_id, bucket, subject, md5(groups::text)::uuid,
           md5(value)::uuid, groups, value
    FROM measured WHERE value IS NOT NULL
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT DO NOTHING
  )
  SELECT (SELECT coalesce(array_agg(place), '{}') FROM event),
         array_agg(tenant_id), array_agg(slug), array_agg(time), array_agg(amount)
    INTO v_new, v_tenants, v_slugs, v_times, v_amounts
    FROM (SELECT tenant_id, slug, time, sum(number) AS amount FROM measured
          WHERE aggregation IN ('SUM', 'COUNT') AND number IS NOT NULL
          GROUP BY tenant_id, slug, time) AS used;
  IF v_amounts IS NOT NULL AND current_user = 'innkeeper_owner' THEN
    PERFORM gate.count_usage(v_tenants, v_slugs, v_times, v_amounts);
  ELSIF v_amounts IS NOT NULL THEN
    PERFORM gate.add_usage(v_tenants, v_slugs, v_times, v_amounts);
  END IF;
  RETURN v_new;
END $$;

-- One event; its figures go to a slot that no other open transaction has.
CREATE OR REPLACE FUNCTION billing_usage_ingest_one(
  p_scope uuid, p_tenant uuid, p_key uuid, p_id text, p_source text, p_type text, p_subject text,
  p_time timestamptz, p_data jsonb, p_schema text, p_hint uuid
) RETURNS bigint LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_now timestamptz := clock_timestamp();
  v_time timestamptz := coalesce(p_time, v_now);
  v_tenant uuid := p_tenant;
  v_seq bigint := nextval('billing_usage_seq');
  v_shard smallint := pg_backend_pid() & 3;
  v_slugs text[];
  v_amounts numeric[];
BEGIN
  IF v_tenant IS NULL THEN
    v_tenant := (billing_usage_tenants(ARRAY[p_subject], ARRAY[p_hint]))[1];
  END IF;
  PERFORM pg_advisory_xact_lock_shared(billing_usage_lock(v_tenant, p_type, v_time));
  INSERT INTO billing_usage_seen (scope, source, id, seq, time)
  VALUES (p_scope, p_source, p_id, v_seq, v_time) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  INSERT INTO billing_usage_event
    (tenant_id, time, seq, scope, key_id, source, id, type, subject, data, dataschema, ingested_at)
  VALUES (v_tenant, v_time, v_seq, p_scope, p_key, p_source, p_id, p_type, p_subject, p_data,
          p_schema, v_now);
  IF v_tenant IS NULL OR v_time > v_now + interval '5 minutes' THEN
    RETURN 1;
  END IF;
  -- Nearly always the first slot that gate.slot would try is free, and asking it costs more.
  IF NOT pg_try_advisory_xact_lock(uuid_hash(v_tenant), v_shard) THEN
    v_shard := gate.slot(ARRAY[v_tenant]);
  END IF;
  WITH measured AS MATERIALIZED (
    SELECT meter.id, meter.slug, meter.aggregation,
           billing_usage_groups(p_data, meter.group_paths) AS groups,
           CASE meter.aggregation WHEN 'COUNT' THEN 1 WHEN 'UNIQUE_COUNT' THEN NULL
             ELSE billing_usage_number(p_data #> meter.value_path) END AS number,
           CASE meter.aggregation WHEN 'UNIQUE_COUNT' THEN p_data #>> meter.value_path END AS value
    FROM billing_meter AS meter
    WHERE meter.scope IN ('00000000-0000-0000-0000-000000000000', v_tenant)
      AND meter.event_type = p_type AND meter.deleted_at IS NULL AND meter.origin = 'events'
      AND (meter.event_from IS NULL OR v_time >= meter.event_from)
  ), counted AS (
    INSERT INTO billing_usage_rollup AS kept
      (tenant_id, meter_id, bucket, subject, groups_hash, shard, groups,
       count, total, lowest, highest, latest, latest_at, latest_seq, first_at)
    SELECT v_tenant, id, billing_usage_bucket(v_time), p_subject, md5(groups::text)::uuid,
           v_shard, groups, 1, number, number, number, number, v_time, v_seq, v_time
    FROM measured WHERE number IS NOT NULL OR value IS NOT NULL ORDER BY id
    -- {{merge}}
  ), distinguished AS (
    INSERT INTO billing_usage_value
      (tenant_id, meter_id, bucket, subject, groups_hash, value_hash, groups, value)
    SELECT v_tenant, id, billing_usage_bucket(v_time), p_subject, md5(groups::text)::uuid,
           md5(value)::uuid, groups, value
    FROM measured WHERE value IS NOT NULL ORDER BY id
    ON CONFLICT DO NOTHING
  )
  SELECT array_agg(slug), array_agg(number) INTO v_slugs, v_amounts
    FROM measured WHERE aggregation IN ('SUM', 'COUNT') AND number IS NOT NULL;
  IF v_slugs IS NOT NULL THEN
    PERFORM gate.add_usage(array_fill(v_tenant, ARRAY[cardinality(v_slugs)]), v_slugs,
                           array_fill(v_time, ARRAY[cardinality(v_slugs)]), v_amounts);
  END IF;
  RETURN 1;
END $$;
