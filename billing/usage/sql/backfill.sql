-- Counting a new meter back beside running ingest: docs/adr/0149.
--
-- Every transaction that began to take events before the meter was there has ended; all later ones
-- count for it. So of what one statement sees, what is in the ledger and not in the roll-ups is
-- what nobody has counted and nobody will. It is added, in a shard that ingest does not use, and
-- ingest goes on meanwhile: the day's lock is only shared with it. Voids, corrections and recounts,
-- which hold that lock alone, wait for us or we for them.

-- Add to the roll-ups of one meter and tenant what is missing in them, over whole buckets of one UTC
-- day. True if they agree with the ledger then. False where they hold what the ledger does not have
-- (the groups are others now; somebody changed a roll-up): only billing_usage_recount mends that.
CREATE FUNCTION billing_usage_backfill(
  p_meter uuid, p_tenant uuid, p_from timestamptz, p_to timestamptz
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_agree boolean;
BEGIN
  IF billing_usage_too_late(ARRAY[p_tenant], ARRAY[p_from]) <> '{}' THEN
    RETURN true;
  END IF;
  PERFORM pg_advisory_xact_lock_shared(billing_usage_lock(p_tenant, event_type, p_from))
     FROM billing_meter WHERE id = p_meter;
  WITH raw AS MATERIALIZED (
    SELECT * FROM billing_usage_recounted(p_meter, p_tenant, p_from, p_to)
  ), rolled AS MATERIALIZED (
    SELECT bucket, subject, groups, sum(count)::bigint AS count, sum(total) AS total,
           min(lowest) AS lowest, max(highest) AS highest, min(first_at) AS first_at,
           max(ARRAY[extract(epoch FROM latest_at), latest_seq, latest]) AS latest
    FROM billing_usage_rollup
    WHERE meter_id = p_meter AND tenant_id = p_tenant AND bucket >= p_from AND bucket < p_to
    GROUP BY bucket, subject, groups
  ), raw_values AS MATERIALIZED (
    SELECT DISTINCT billing_usage_bucket(time) AS bucket, subject, groups, value COLLATE "C" AS value
    FROM billing_usage_measured_widely
    WHERE meter_id = p_meter AND tenant_id = p_tenant AND time >= p_from AND time < p_to
      AND value IS NOT NULL
      AND (SELECT aggregation = 'UNIQUE_COUNT' FROM billing_meter WHERE id = p_meter)
  ), added AS (
    INSERT INTO billing_usage_rollup AS kept
      (tenant_id, meter_id, bucket, subject, groups_hash, shard, groups,
       count, total, lowest, highest, latest, latest_at, latest_seq, first_at)
    SELECT p_tenant, p_meter, bucket, subject, md5(groups::text)::uuid, -1, groups,
           raw.count - coalesce(rolled.count, 0), raw.total - coalesce(rolled.total, 0),
           raw.lowest, raw.highest, raw.latest, raw.latest_at, raw.latest_seq, raw.first_at
    FROM raw LEFT JOIN rolled USING (bucket, subject, groups)
    WHERE raw.count > coalesce(rolled.count, 0)
    ORDER BY bucket, subject, md5(groups::text)::uuid
    -- {{merge}}
  ), distinguished AS (
    INSERT INTO billing_usage_value
      (tenant_id, meter_id, bucket, subject, groups_hash, value_hash, groups, value)
    SELECT p_tenant, p_meter, bucket, subject, md5(groups::text)::uuid, md5(value)::uuid, groups, value
    FROM raw_values ORDER BY bucket, subject, 5, 6
    ON CONFLICT DO NOTHING
  )
  SELECT NOT EXISTS (
    SELECT FROM rolled LEFT JOIN raw USING (bucket, subject, groups)
    WHERE raw.count IS NULL OR raw.count < rolled.count
       OR (raw.count = rolled.count
           AND (raw.total, raw.lowest, raw.highest, raw.first_at,
                ARRAY[extract(epoch FROM raw.latest_at), raw.latest_seq, raw.latest])
               IS DISTINCT FROM
               (rolled.total, rolled.lowest, rolled.highest, rolled.first_at, rolled.latest))
  ) AND NOT EXISTS (
    SELECT FROM billing_usage_value AS held LEFT JOIN raw_values USING (bucket, subject, groups, value)
    WHERE held.meter_id = p_meter AND held.tenant_id = p_tenant
      AND held.bucket >= p_from AND held.bucket < p_to AND raw_values.bucket IS NULL
  ) INTO v_agree;
  RETURN v_agree;
END $$;

GRANT EXECUTE ON FUNCTION billing_usage_backfill TO innkeeper_app, innkeeper_staff;
