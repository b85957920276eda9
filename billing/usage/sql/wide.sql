-- The same rows as billing_usage_measured, for reading many events of one tenant: its amendments are
-- looked up once and joined, where the other view looks for those of each event. A tenant that has
-- very many of them makes a short read slow here, and a long one there.
CREATE VIEW billing_usage_measured_widely WITH (security_invoker = true) AS
SELECT meter.id AS meter_id, event.tenant_id, event.time, event.seq, event.xid, event.subject,
       billing_usage_groups(coalesce(amended.data, event.data), meter.group_paths) AS groups,
       CASE meter.aggregation WHEN 'UNIQUE_COUNT'
         THEN coalesce(amended.data, event.data) #>> meter.value_path END AS value,
       CASE meter.aggregation WHEN 'COUNT' THEN 1 WHEN 'UNIQUE_COUNT' THEN NULL
         ELSE billing_usage_number(coalesce(amended.data, event.data) #> meter.value_path) END
         AS number
FROM billing_usage_event AS event
JOIN billing_meter AS meter ON meter.event_type = event.type
 AND (meter.scope = '00000000-0000-0000-0000-000000000000' OR meter.scope = event.tenant_id)
 AND (meter.event_from IS NULL OR event.time >= meter.event_from)
LEFT JOIN (
  SELECT DISTINCT ON (tenant_id, event_seq) tenant_id, event_seq, kind, data
  FROM billing_usage_amendment ORDER BY tenant_id, event_seq, id DESC
) AS amended ON amended.tenant_id = event.tenant_id AND amended.event_seq = event.seq
WHERE event.tenant_id IS NOT NULL AND meter.origin = 'events'
  AND amended.kind IS DISTINCT FROM 'void'
  AND event.time <= event.ingested_at + interval '5 minutes';
GRANT SELECT ON billing_usage_measured_widely TO innkeeper_app, innkeeper_staff;

CREATE OR REPLACE FUNCTION billing_usage_recounted(
  p_meter uuid, p_tenant uuid, p_from timestamptz, p_to timestamptz
) RETURNS TABLE (
  bucket timestamptz, subject text, groups text[], count bigint, total numeric, lowest numeric,
  highest numeric, latest numeric, latest_at timestamptz, latest_seq bigint, first_at timestamptz
) LANGUAGE sql STABLE AS $$
  SELECT billing_usage_bucket(time), subject, groups, count(*), sum(number), min(number),
         max(number), (array_agg(number ORDER BY time DESC, seq DESC))[1], max(time),
         (array_agg(seq ORDER BY time DESC, seq DESC))[1], min(time)
  FROM billing_usage_measured_widely
  WHERE meter_id = p_meter AND tenant_id = p_tenant AND time >= p_from AND time < p_to
    AND (number IS NOT NULL OR value IS NOT NULL)
  GROUP BY 1, 2, 3
$$;
