-- Events as their meters read them: one row for each event and meter that count together. The
-- truth that roll-ups are a summary of. `number` is NULL where a value is missing or no number. A
-- void event is not there; a corrected one has the data of its newest correction.
CREATE VIEW billing_usage_measured WITH (security_invoker = true) AS
SELECT meter.id AS meter_id, event.tenant_id, event.time, event.seq, event.xid, event.subject,
       billing_usage_groups(held.data, meter.group_paths) AS groups,
       CASE meter.aggregation WHEN 'UNIQUE_COUNT' THEN held.data #>> meter.value_path END AS value,
       CASE meter.aggregation WHEN 'COUNT' THEN 1 WHEN 'UNIQUE_COUNT' THEN NULL
         ELSE billing_usage_number(held.data #> meter.value_path) END AS number
FROM billing_usage_event AS event
JOIN billing_meter AS meter ON meter.event_type = event.type
 AND (meter.scope = '00000000-0000-0000-0000-000000000000' OR meter.scope = event.tenant_id)
 AND (meter.event_from IS NULL OR event.time >= meter.event_from)
LEFT JOIN LATERAL (
  SELECT kind, data FROM billing_usage_amendment AS amendment
  WHERE amendment.tenant_id = event.tenant_id AND amendment.event_seq = event.seq
  ORDER BY amendment.id DESC LIMIT 1
) AS amended ON true
CROSS JOIN LATERAL (SELECT coalesce(amended.data, event.data) AS data) AS held
WHERE event.tenant_id IS NOT NULL AND meter.origin = 'events'
  AND amended.kind IS DISTINCT FROM 'void'
  AND event.time <= event.ingested_at + interval '5 minutes';
GRANT SELECT ON billing_usage_measured TO innkeeper_app, innkeeper_staff;

-- The civil window that holds an instant, and where it ends. Days and months are of the zone; where
-- midnight does not exist the day starts at the first instant after it, where it comes twice, at
-- the first (PostgreSQL takes the second). Minutes and hours keep the offset of the instant.
CREATE FUNCTION billing_usage_window(unit text, at timestamptz, zone text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN zone = 'UTC' OR unit IN ('minute', 'hour') THEN date_trunc(unit, at, zone)
    WHEN (date_trunc(unit, at, zone) - interval '1 hour') AT TIME ZONE zone
         = date_trunc(unit, at, zone) AT TIME ZONE zone
    THEN date_trunc(unit, at, zone) - interval '1 hour'
    ELSE date_trunc(unit, at, zone) END
$$;

CREATE FUNCTION billing_usage_window_end(unit text, start timestamptz, zone text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE unit
    WHEN 'minute' THEN start + interval '1 minute'
    WHEN 'hour' THEN start + interval '1 hour'
    ELSE billing_usage_window(unit, date_add(start, ('1 ' || unit)::interval + interval '3 hours', zone), zone)
  END
$$;
