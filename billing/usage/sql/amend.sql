-- Void or correct an event: the record, the buckets it touches, and the quotas, in one transaction.
-- p_kind  'void', or 'correct' with the data that holds from now on. Returns false where there is no
-- such event of the tenant. The event itself stays as it was sent.
CREATE FUNCTION billing_usage_amend(
  p_id uuid, p_tenant uuid, p_source text, p_event text, p_kind text, p_data jsonb, p_reason text,
  p_actor text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_event record;
  v_meter uuid;
  v_before jsonb;
  v_bucket timestamptz;
BEGIN
  SELECT event.seq, event.time, event.type INTO v_event
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
  INSERT INTO billing_usage_amendment (id, tenant_id, event_seq, kind, data, reason, actor, at)
  VALUES (p_id, p_tenant, v_event.seq, p_kind, p_data, p_reason, p_actor, clock_timestamp());
  FOR v_meter IN
    SELECT id FROM billing_meter
    WHERE event_type = v_event.type AND deleted_at IS NULL AND origin = 'events'
      AND scope IN ('00000000-0000-0000-0000-000000000000', p_tenant) ORDER BY id
  LOOP
    PERFORM billing_usage_recount(v_meter, p_tenant, v_bucket, v_bucket + interval '15 minutes');
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

-- What one event adds to the meters that quotas are drawn from, by slug.
CREATE FUNCTION billing_usage_amounts(p_tenant uuid, p_seq bigint, p_time timestamptz)
RETURNS jsonb LANGUAGE sql VOLATILE AS $$
  SELECT coalesce(jsonb_object_agg(meter.slug, measured.number::text), '{}')
  FROM billing_usage_measured AS measured JOIN billing_meter AS meter ON meter.id = measured.meter_id
  WHERE measured.tenant_id = p_tenant AND measured.time = p_time AND measured.seq = p_seq
    AND measured.number IS NOT NULL AND meter.aggregation IN ('SUM', 'COUNT')
    AND meter.deleted_at IS NULL
$$;
