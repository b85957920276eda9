-- What a meter's roll-ups must be, by the ledger: one row for each bucket, subject and groups.
CREATE FUNCTION billing_usage_recounted(
  p_meter uuid, p_tenant uuid, p_from timestamptz, p_to timestamptz
) RETURNS TABLE (
  bucket timestamptz, subject text, groups text[], count bigint, total numeric, lowest numeric,
  highest numeric, latest numeric, latest_at timestamptz, latest_seq bigint, first_at timestamptz
) LANGUAGE sql STABLE AS $$
  SELECT billing_usage_bucket(time), subject, groups, count(*), sum(number), min(number),
         max(number), (array_agg(number ORDER BY time DESC, seq DESC))[1], max(time),
         (array_agg(seq ORDER BY time DESC, seq DESC))[1], min(time)
  FROM billing_usage_measured
  WHERE meter_id = p_meter AND tenant_id = p_tenant AND time >= p_from AND time < p_to
    AND (number IS NOT NULL OR value IS NOT NULL)
  GROUP BY 1, 2, 3
$$;

-- Make the roll-ups of one meter and tenant anew from the ledger, over whole buckets of one UTC day.
-- Ingest of that tenant's events of the type and day waits meanwhile; it counts after us what we
-- did not see.
CREATE FUNCTION billing_usage_recount(
  p_meter uuid, p_tenant uuid, p_from timestamptz, p_to timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(billing_usage_lock(p_tenant, event_type, p_from))
     FROM billing_meter WHERE id = p_meter;
  DELETE FROM billing_usage_rollup WHERE tenant_id = p_tenant AND meter_id = p_meter
     AND bucket >= p_from AND bucket < p_to;
  DELETE FROM billing_usage_value WHERE tenant_id = p_tenant AND meter_id = p_meter
     AND bucket >= p_from AND bucket < p_to;
  INSERT INTO billing_usage_rollup
    (tenant_id, meter_id, bucket, subject, groups_hash, shard, groups,
     count, total, lowest, highest, latest, latest_at, latest_seq, first_at)
  SELECT p_tenant, p_meter, bucket, subject, md5(groups::text)::uuid, 0, groups,
         count, total, lowest, highest, latest, latest_at, latest_seq, first_at
  FROM billing_usage_recounted(p_meter, p_tenant, p_from, p_to);
  INSERT INTO billing_usage_value
    (tenant_id, meter_id, bucket, subject, groups_hash, value_hash, groups, value)
  SELECT DISTINCT p_tenant, p_meter, billing_usage_bucket(time), subject,
         md5(groups::text)::uuid, md5(value)::uuid, groups, value
  FROM billing_usage_measured
  WHERE meter_id = p_meter AND tenant_id = p_tenant AND time >= p_from AND time < p_to
    AND value IS NOT NULL;
END $$;

-- Where a meter's roll-ups differ from the ledger, and how; no row where they agree. One statement
-- sees events and roll-ups of the same transactions, so it may run beside ingest.
CREATE FUNCTION billing_usage_difference(
  p_meter uuid, p_tenant uuid, p_from timestamptz, p_to timestamptz
) RETURNS TABLE (bucket timestamptz, subject text, groups text[], kept jsonb, recounted jsonb)
LANGUAGE sql STABLE AS $$
  WITH kept AS (
    SELECT bucket, subject, groups, sum(count)::bigint AS count, sum(total) AS total,
           min(lowest) AS lowest, max(highest) AS highest,
           (array_agg(latest ORDER BY latest_at DESC, latest_seq DESC))[1] AS latest,
           max(latest_at) AS latest_at,
           (array_agg(latest_seq ORDER BY latest_at DESC, latest_seq DESC))[1] AS latest_seq,
           min(first_at) AS first_at
    FROM billing_usage_rollup
    WHERE meter_id = p_meter AND tenant_id = p_tenant AND bucket >= p_from AND bucket < p_to
    GROUP BY bucket, subject, groups
  ), kept_values AS (
    SELECT bucket, subject, groups, array_agg(value ORDER BY value) AS "values"
    FROM billing_usage_value
    WHERE meter_id = p_meter AND tenant_id = p_tenant AND bucket >= p_from AND bucket < p_to
    GROUP BY bucket, subject, groups
  ), raw_values AS (
    SELECT billing_usage_bucket(time) AS bucket, subject, groups,
           array_agg(DISTINCT value COLLATE "C" ORDER BY value COLLATE "C") AS "values"
    FROM billing_usage_measured
    WHERE meter_id = p_meter AND tenant_id = p_tenant AND time >= p_from AND time < p_to
      AND value IS NOT NULL
    GROUP BY 1, 2, 3
  ), kept_all AS (
    SELECT kept.*, kept_values."values" FROM kept LEFT JOIN kept_values USING (bucket, subject, groups)
  ), raw_all AS (
    SELECT raw.*, raw_values."values"
    FROM billing_usage_recounted(p_meter, p_tenant, p_from, p_to) AS raw
    LEFT JOIN raw_values USING (bucket, subject, groups)
  )
  SELECT bucket, subject, groups, to_jsonb(kept_all) - 'groups', to_jsonb(raw_all) - 'groups'
  FROM kept_all FULL JOIN raw_all USING (bucket, subject, groups)
  WHERE (kept_all.count, kept_all.total, kept_all.lowest, kept_all.highest, kept_all.latest,
         kept_all.latest_at, kept_all.latest_seq, kept_all.first_at, kept_all."values")
    IS DISTINCT FROM
        (raw_all.count, raw_all.total, raw_all.lowest, raw_all.highest, raw_all.latest,
         raw_all.latest_at, raw_all.latest_seq, raw_all.first_at, raw_all."values")
  ORDER BY bucket, subject, groups
$$;
