-- Make one series of one bucket anew from the ledger: what a void or a correction can change. The
-- bucket's other subjects and groups are not read. The caller holds the lock of the day.
CREATE FUNCTION billing_usage_recount_series(
  p_meter uuid, p_tenant uuid, p_bucket timestamptz, p_subject text, p_groups text[]
) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_hash uuid := md5(p_groups::text)::uuid;
BEGIN
  DELETE FROM billing_usage_rollup WHERE tenant_id = p_tenant AND meter_id = p_meter
     AND bucket = p_bucket AND subject = p_subject AND groups_hash = v_hash;
  DELETE FROM billing_usage_value WHERE tenant_id = p_tenant AND meter_id = p_meter
     AND bucket = p_bucket AND subject = p_subject AND groups_hash = v_hash;
  WITH measured AS MATERIALIZED (
    SELECT time, seq, number, value FROM billing_usage_measured
    WHERE meter_id = p_meter AND tenant_id = p_tenant AND time >= p_bucket
      AND time < p_bucket + interval '15 minutes' AND subject = p_subject AND groups = p_groups
      AND (number IS NOT NULL OR value IS NOT NULL)
  ), distinguished AS (
    INSERT INTO billing_usage_value
      (tenant_id, meter_id, bucket, subject, groups_hash, value_hash, groups, value)
    SELECT DISTINCT p_tenant, p_meter, p_bucket, p_subject, v_hash, md5(value)::uuid, p_groups, value
    FROM measured WHERE value IS NOT NULL
  )
  INSERT INTO billing_usage_rollup
    (tenant_id, meter_id, bucket, subject, groups_hash, shard, groups,
     count, total, lowest, highest, latest, latest_at, latest_seq, first_at)
  SELECT p_tenant, p_meter, p_bucket, p_subject, v_hash, 0, p_groups,
         count(*), sum(number), min(number), max(number),
         (array_agg(number ORDER BY time DESC, seq DESC))[1], max(time),
         (array_agg(seq ORDER BY time DESC, seq DESC))[1], min(time)
  FROM measured HAVING count(*) > 0;
END $$;
GRANT EXECUTE ON FUNCTION billing_usage_recount_series TO innkeeper_app;

-- Void or correct an event: the record, the series it touches, and the quotas, in one transaction.
-- p_kind  'void', or 'correct' with the data that holds from now on. Returns false where there is no
-- such event of the tenant. The event itself stays as it was sent.
CREATE OR REPLACE FUNCTION billing_usage_amend(
  p_id uuid, p_tenant uuid, p_source text, p_event text, p_kind text, p_data jsonb, p_reason text,
  p_actor text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_event record;
  v_series record;
  v_before jsonb;
  v_held jsonb;
  v_bucket timestamptz;
BEGIN
  SELECT event.seq, event.time, event.type, event.subject, event.data INTO v_event
    FROM billing_usage_seen AS seen
    JOIN billing_usage_event AS event ON event.seq = seen.seq AND event.time = seen.time
   WHERE seen.scope IN (p_tenant, '00000000-0000-0000-0000-000000000000')
     AND seen.source = p_source AND seen.id = p_event AND event.tenant_id = p_tenant
   ORDER BY seen.scope DESC LIMIT 1;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  v_bucket := billing_usage_bucket(v_event.time);
  PERFORM pg_advisory_xact_lock(billing_usage_lock(p_tenant, v_event.type, v_event.time));
  v_before := billing_usage_amounts(p_tenant, v_event.seq, v_event.time);
  SELECT coalesce(data, v_event.data) INTO v_held FROM billing_usage_amendment
   WHERE tenant_id = p_tenant AND event_seq = v_event.seq ORDER BY id DESC LIMIT 1;
  IF NOT FOUND THEN
    v_held := v_event.data;
  END IF;
  INSERT INTO billing_usage_amendment (id, tenant_id, event_seq, kind, data, reason, actor, at)
  VALUES (p_id, p_tenant, v_event.seq, p_kind, p_data, p_reason, p_actor, clock_timestamp());
  FOR v_series IN
    SELECT DISTINCT meter.id, billing_usage_groups(held.data, meter.group_paths) AS groups
    FROM billing_meter AS meter
    CROSS JOIN (VALUES (v_held), (coalesce(p_data, v_event.data))) AS held (data)
    WHERE meter.event_type = v_event.type AND meter.deleted_at IS NULL AND meter.origin = 'events'
      AND meter.scope IN ('00000000-0000-0000-0000-000000000000', p_tenant) ORDER BY 1, 2
  LOOP
    PERFORM billing_usage_recount_series(
      v_series.id, p_tenant, v_bucket, v_event.subject, v_series.groups);
  END LOOP;
  PERFORM gate.add_usage(array_agg(p_tenant), array_agg(slug), array_agg(v_event.time),
                         array_agg(amount))
  FROM (
    SELECT slug, sum(amount) AS amount FROM (
      SELECT key AS slug, value::numeric AS amount
        FROM jsonb_each_text(billing_usage_amounts(p_tenant, v_event.seq, v_event.time))
      UNION ALL SELECT key, -value::numeric FROM jsonb_each_text(v_before)
    ) AS sides GROUP BY slug HAVING sum(amount) <> 0
  ) AS changes HAVING count(*) > 0;
  RETURN true;
END $$;
