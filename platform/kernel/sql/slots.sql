-- Who writes where: figures of a tenant that many add to lie in eight slots, and a transaction adds
-- to one that no other open transaction has. Whoever stays open for long keeps its slot, and nobody
-- waits for it: docs/adr/0120.

-- A slot that is free for all of these tenants, from now to the end of the transaction. The first
-- four are tried before the others, so that rows of the others exist only where there was need.
-- If none is free the answer is one of the first four, whose rows will be waited for.
--
-- These locks decide nothing: a row is safe by its own lock. Hence tries only, which never wait.
CREATE FUNCTION gate.slot(p_tenants uuid[]) RETURNS smallint
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  v_first int := pg_backend_pid() & 3;
  v_slot int;
  v_free boolean;
BEGIN
  FOR i IN 0..7 LOOP
    v_slot := CASE WHEN i < 4 THEN (v_first + i) & 3 ELSE i END;
    IF cardinality(p_tenants) = 1 THEN
      v_free := pg_try_advisory_xact_lock(uuid_hash(p_tenants[1]), v_slot);
    ELSE
      SELECT bool_and(pg_try_advisory_xact_lock(uuid_hash(t), v_slot)) INTO v_free
        FROM unnest(p_tenants) AS t WHERE t IS NOT NULL;
    END IF;
    IF v_free IS NOT FALSE THEN
      RETURN v_slot;
    END IF;
  END LOOP;
  RETURN v_first;
END $$;

CREATE OR REPLACE FUNCTION gate.add_usage(
  p_tenant uuid[], p_meter text[], p_at timestamptz[], p_amount numeric[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v_tenants uuid[] := p_tenant[1:1];
  v_tenant uuid;
BEGIN
  IF cardinality(p_tenant) > 1 THEN
    SELECT array_agg(DISTINCT u) INTO v_tenants FROM unnest(p_tenant) AS u;
  END IF;
  FOREACH v_tenant IN ARRAY v_tenants LOOP
    PERFORM gate.assert_tenant(v_tenant);
  END LOOP;
  PERFORM gate.count_usage(p_tenant, p_meter, p_at, p_amount);
END $$;

CREATE OR REPLACE FUNCTION gate.count_usage(
  p_tenant uuid[], p_meter text[], p_at timestamptz[], p_amount numeric[]
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  v_tenants uuid[] := p_tenant[1:1];
  v_slot smallint := pg_backend_pid() & 3;
BEGIN
  IF cardinality(p_tenant) > 1 THEN
    SELECT array_agg(DISTINCT u) INTO v_tenants FROM unnest(p_tenant) AS u;
  END IF;
  -- Nearly always the first one that gate.slot would try is free, and asking it costs more.
  IF cardinality(v_tenants) > 1 OR NOT pg_try_advisory_xact_lock(uuid_hash(v_tenants[1]), v_slot) THEN
    v_slot := gate.slot(v_tenants);
  END IF;
  INSERT INTO gate.quota_use AS kept (tenant_id, feature_key, window_start, slot, used)
  SELECT q.tenant_id, q.feature_key, q.window_start, v_slot, sum(i.amount)
    FROM unnest(p_tenant, p_meter, p_at, p_amount) AS i (tenant_id, meter, at, amount)
    JOIN gate.quota q ON q.tenant_id = i.tenant_id AND q.meter = i.meter
                     AND q.window_start <= i.at AND q.window_end > i.at
   GROUP BY q.tenant_id, q.feature_key, q.window_start
   ORDER BY q.tenant_id, q.feature_key, q.window_start
  ON CONFLICT (tenant_id, feature_key, window_start, slot)
    DO UPDATE SET used = kept.used + EXCLUDED.used;
END $$;

REVOKE ALL ON FUNCTION gate.slot FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate.slot TO innkeeper_app, innkeeper_staff;
