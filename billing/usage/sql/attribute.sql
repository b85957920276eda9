-- Give the operator's events about some subjects, of one type and UTC day, to their tenant: ledger,
-- roll-ups and quotas together. Returns how many there were.
CREATE FUNCTION billing_usage_attribute(
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
    UPDATE billing_usage_event SET tenant_id = p_tenant
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
