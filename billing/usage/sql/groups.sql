-- Events of several callers in one statement and one commit. billing_usage_ingest, the batch of one
-- caller, is the same statement with one caller.

-- Take events: dedupe, ledger, roll-ups, sets, quotas, in the caller's transaction.
--
-- p_scope   whose (source, id) are unique: the tenant of a tenant key, the zero id of the operator
-- p_tenant  the tenant of each event; NULL: found by subject, and unattributed where none matches
-- p_hints   the tenant ids that stand in subjects as ten_…, NULL for the others; may be NULL itself
-- arrays    one element for each event; a NULL time is the server's clock
-- returns   the places, from 1, of the events that were new; '{}' if none was
--
-- Rows go in by sorted key, and the tables always in the same order, so that overlapping batches
-- wait for each other instead of deadlocking. Nested loops are off because the planner cannot know
-- the length of an array parameter, and a nested loop over 1,000 x 1,000 rows is the worst it can do.
CREATE FUNCTION billing_usage_take(
  p_scope uuid[], p_tenant uuid[], p_key uuid[],
  p_id text[], p_source text[], p_type text[], p_subject text[],
  p_time timestamptz[], p_data jsonb[], p_schema text[], p_hints uuid[]
) RETURNS bigint[] LANGUAGE plpgsql SET enable_nestloop = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_now timestamptz := clock_timestamp();
  v_tenants uuid[] := p_tenant;
  v_scopes uuid[];
  v_types text[];
  v_shard smallint := pg_backend_pid() & 3;
  v_new bigint[];
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
  SELECT array_agg(DISTINCT tenant) || '00000000-0000-0000-0000-000000000000'::uuid,
         array_agg(DISTINCT type) INTO v_scopes, v_types
    FROM unnest(v_tenants, p_type) AS t (tenant, type);

  WITH input AS MATERIALIZED (
    SELECT nextval('billing_usage_seq') AS seq, place, scope, tenant_id, key_id, id, source, type,
           subject, coalesce(time, v_now) AS time, data, dataschema
    FROM unnest(p_scope, v_tenants, p_key, p_id, p_source, p_type, p_subject, p_time, p_data, p_schema)
      WITH ORDINALITY AS u (scope, tenant_id, key_id, id, source, type, subject, time, data,
                            dataschema, place)
  ), fresh AS (
    INSERT INTO billing_usage_seen (scope, source, id, seq, time)
    SELECT scope, source, id, seq, time FROM input
     ORDER BY scope, source COLLATE "C", id COLLATE "C", seq
    ON CONFLICT DO NOTHING RETURNING seq
  ), event AS MATERIALIZED (
    SELECT input.* FROM input JOIN fresh USING (seq)
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
           (array_agg(number ORDER BY time DESC, seq DESC))[1], max(time),
           (array_agg(seq ORDER BY time DESC, seq DESC))[1], min(time)
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
  SELECT (SELECT coalesce(array_agg(place), '{}') FROM event), array_agg(tenant_id), array_agg(slug), array_agg(time),
         array_agg(amount)
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

-- A batch of one caller.
CREATE OR REPLACE FUNCTION billing_usage_ingest(
  p_scope uuid, p_tenant uuid, p_key uuid,
  p_id text[], p_source text[], p_type text[], p_subject text[],
  p_time timestamptz[], p_data jsonb[], p_schema text[], p_hints uuid[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  v_many int[] := ARRAY[cardinality(p_id)];
BEGIN
  RETURN billing_usage_take(
    array_fill(p_scope, v_many), array_fill(p_tenant, v_many), array_fill(p_key, v_many),
    p_id, p_source, p_type, p_subject, p_time, p_data, p_schema, p_hints);
END $$;

-- Single events of several tenants' keys. The connection can have one tenant only, so this works as
-- the owner, and believes nobody: each event comes with the public id of its caller's key, each key
-- with its MAC, and the tenant is the one that the gate finds by these. The caller says the tenant
-- too, as the gate told it when the request was admitted; where the two differ, nothing is taken.
--
-- p_public_id         of the key that each event came with
-- p_public_ids, p_macs  the keys, once for each pepper
-- Waiting for a lock is one caller's matter: the group gives up at once, and each goes on alone.
CREATE FUNCTION billing_usage_ingest_group(
  p_tenant uuid[], p_public_id text[], p_public_ids text[], p_macs bytea[],
  p_id text[], p_source text[], p_type text[], p_subject text[],
  p_time timestamptz[], p_data jsonb[], p_schema text[]
) RETURNS bigint[] LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
  v_tenants uuid[];
  v_keys uuid[];
BEGIN
  SELECT array_agg(found.tenant_id ORDER BY place), array_agg(found.key_id ORDER BY place)
    INTO v_tenants, v_keys
    FROM unnest(p_public_id) WITH ORDINALITY AS sent (public_id, place)
    LEFT JOIN gate.presented(p_public_ids, p_macs) AS found USING (public_id);
  IF array_position(v_tenants, NULL) IS NOT NULL OR v_tenants <> p_tenant
     OR v_tenants IS NULL OR cardinality(p_id) <> cardinality(v_tenants) THEN
    RAISE EXCEPTION 'an event is not of the tenant whose key was presented with it'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN billing_usage_take(v_tenants, v_tenants, v_keys, p_id, p_source, p_type, p_subject,
                            p_time, p_data, p_schema, NULL);
END $$;

GRANT EXECUTE ON FUNCTION billing_usage_take, billing_usage_ingest_group TO innkeeper_app;
