-- What a feed of events needs beside its index (billing_usage_event_feed): an event comes to its
-- tenant's feed when it becomes the tenant's. docs/adr/0129.

CREATE OR REPLACE FUNCTION billing_usage_attribute(
  p_subjects text[], p_tenant uuid, p_type text, p_day date
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_from timestamptz := p_day::timestamp AT TIME ZONE 'UTC';
  v_to timestamptz := (p_day + 1)::timestamp AT TIME ZONE 'UTC';
  v_moved bigint[];
  v_meter uuid;
BEGIN
  PERFORM pg_advisory_xact_lock(billing_usage_lock(p_tenant, p_type, v_from));
  WITH moved AS (
    UPDATE billing_usage_event SET tenant_id = p_tenant, xid = pg_current_xact_id()
    WHERE tenant_id IS NULL AND time >= v_from AND time < v_to
      AND type = p_type AND subject = ANY (p_subjects)
    RETURNING seq
  ) SELECT array_agg(seq) INTO v_moved FROM moved;
  IF v_moved IS NULL THEN
    RETURN 0;
  END IF;
  FOR v_meter IN
    SELECT id FROM billing_meter
    WHERE event_type = p_type AND deleted_at IS NULL AND origin = 'events'
      AND scope IN ('00000000-0000-0000-0000-000000000000', p_tenant) ORDER BY id
  LOOP
    PERFORM billing_usage_recount(v_meter, p_tenant, v_from, v_to);
  END LOOP;
  PERFORM gate.add_usage(array_agg(p_tenant), array_agg(meter.slug), array_agg(measured.time),
                         array_agg(measured.number))
  FROM billing_usage_measured AS measured JOIN billing_meter AS meter ON meter.id = measured.meter_id
  WHERE measured.tenant_id = p_tenant AND measured.time >= v_from AND measured.time < v_to
    AND measured.seq = ANY (v_moved) AND measured.number IS NOT NULL
    AND meter.aggregation IN ('SUM', 'COUNT') AND meter.deleted_at IS NULL
  HAVING count(*) > 0;
  RETURN cardinality(v_moved);
END $$;

-- The next events of a tenant: not over in the snapshot p_before, over in p_within, behind the place
-- (p_xid, p_seq), in this order. What was not over is what ran then, found by its numbers, and what
-- is younger; a writer that has stayed open for long makes nobody read what was given out since.
-- With the caller's rights. The plan is kept: planning for all months costs more than the reading.
CREATE FUNCTION billing_usage_feed(
  p_tenant uuid, p_before pg_snapshot, p_within pg_snapshot, p_xid xid8, p_seq bigint, p_limit bigint
) RETURNS SETOF billing_usage_event LANGUAGE plpgsql STABLE ROWS 100
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  v_ran bigint := 0;
  v_young xid8 := pg_snapshot_xmax(p_before);
BEGIN
  IF pg_snapshot_xmin(p_before) < pg_snapshot_xmax(p_before) THEN
    RETURN QUERY
    SELECT * FROM billing_usage_event AS event
     WHERE event.tenant_id = p_tenant AND (event.xid, event.seq) > (p_xid, p_seq)
       AND event.xid = ANY (ARRAY(SELECT pg_snapshot_xip(p_before)))
       AND pg_visible_in_snapshot(event.xid, p_within)
     ORDER BY event.xid, event.seq LIMIT p_limit;
    GET DIAGNOSTICS v_ran = ROW_COUNT;
  END IF;
  -- One lower bound: given two, the index is read from whichever it likes.
  IF p_xid < v_young THEN
    p_xid := v_young;
    p_seq := -1;
  END IF;
  RETURN QUERY
  SELECT * FROM billing_usage_event AS event
   WHERE event.tenant_id = p_tenant AND (event.xid, event.seq) > (p_xid, p_seq)
     AND event.xid < pg_snapshot_xmax(p_within)
     AND pg_visible_in_snapshot(event.xid, p_within)
   ORDER BY event.xid, event.seq LIMIT p_limit - v_ran;
END $$;
GRANT EXECUTE ON FUNCTION billing_usage_feed TO innkeeper_app, innkeeper_staff;
