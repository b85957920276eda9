-- gate.quota_standing of many tenants in one plan: a call for each of them would start its executor
-- for each, and look for expired holds where nothing is held. For staff, who may see all tenants.
CREATE FUNCTION gate.quota_standings(p_tenants uuid[], p_at timestamptz)
RETURNS TABLE (
  tenant_id uuid, feature_key text, window_start timestamptz, window_end timestamptz, used numeric,
  reserved numeric, hard_limit numeric, available numeric, balance numeric, overage numeric,
  grants jsonb
) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1000 SET search_path = pg_catalog
SET enable_seqscan = off AS $$
DECLARE
  v_tenant uuid;
BEGIN
  FOREACH v_tenant IN ARRAY p_tenants LOOP
    PERFORM gate.assert_tenant(v_tenant);
  END LOOP;
  RETURN QUERY
  SELECT q.tenant_id, q.feature_key, coalesce(q.period_start, q.window_start),
         coalesce(q.period_end, q.window_end),
         CASE WHEN q.burns THEN b.used
              ELSE coalesce((SELECT sum(u.used) FROM gate.quota_use u
                              WHERE u.tenant_id = q.tenant_id AND u.feature_key = q.feature_key
                                AND u.window_start = q.window_start), 0) END,
         CASE WHEN q.burns THEN b.reserved
              WHEN q.reserved = 0 THEN q.reserved
              ELSE greatest(q.reserved - gate.held(q.tenant_id, q.meter, q.window_start,
                                                   q.window_end, clock_timestamp()), 0) END,
         CASE WHEN q.burns THEN b.hard_limit ELSE q.hard_limit END,
         b.available, b.balance, b.overage, b.grants
    FROM gate.quota q
    LEFT JOIN LATERAL (
      SELECT r.* FROM gate.burn_standing(q.tenant_id, q.feature_key, p_at, q.issued, q.hard_limit) AS r
       WHERE q.burns
    ) AS b ON q.burns
   WHERE q.tenant_id = ANY (p_tenants) AND q.window_start <= p_at AND q.window_end > p_at;
END $$;
REVOKE ALL ON FUNCTION gate.quota_standings FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate.quota_standings TO innkeeper_app, innkeeper_staff;
