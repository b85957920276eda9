-- Work of several tenants' callers in one statement. None of these is granted to the app role: they
-- are called by functions of the owner that it may execute (billing_usage_ingest_group).

-- Whose credentials were presented: one row for each pair of public id and MAC that belongs to a
-- tenant's key. A pair that belongs to none has no row. The gate has admitted the callers already;
-- this says once more, from the same evidence, which tenant each of them is.
CREATE FUNCTION gate.presented(p_public_ids text[], p_macs bytea[])
RETURNS TABLE (public_id text, key_id uuid, tenant_id uuid)
LANGUAGE sql STABLE ROWS 16 SET search_path = pg_catalog SET enable_seqscan = off AS $$
  SELECT c.public_id, c.key_id, c.tenant_id
    FROM unnest(p_public_ids, p_macs) AS p (public_id, mac)
    JOIN gate.credential c ON c.public_id = p.public_id AND c.mac = p.mac
   WHERE c.kind = 'tenant'
$$;

-- gate.add_usage without its look at the connection's tenant.
CREATE FUNCTION gate.count_usage(
  p_tenant uuid[], p_meter text[], p_at timestamptz[], p_amount numeric[]
) RETURNS void LANGUAGE sql SET search_path = pg_catalog AS $$
  INSERT INTO gate.quota_use AS kept (tenant_id, feature_key, window_start, slot, used)
  SELECT q.tenant_id, q.feature_key, q.window_start, pg_backend_pid() & 7, sum(i.amount)
    FROM unnest(p_tenant, p_meter, p_at, p_amount) AS i (tenant_id, meter, at, amount)
    JOIN gate.quota q ON q.tenant_id = i.tenant_id AND q.meter = i.meter
                     AND q.window_start <= i.at AND q.window_end > i.at
   GROUP BY q.tenant_id, q.feature_key, q.window_start
   ORDER BY q.tenant_id, q.feature_key, q.window_start
  ON CONFLICT (tenant_id, feature_key, window_start, slot)
    DO UPDATE SET used = kept.used + EXCLUDED.used
$$;

REVOKE ALL ON FUNCTION gate.presented, gate.count_usage
  FROM PUBLIC, innkeeper_app, innkeeper_staff;
