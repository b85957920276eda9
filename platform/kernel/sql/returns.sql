-- When a feature may be used again.

-- When more of a feature may be used than at p_at: a period begins that allows something, a grant
-- starts or recurs, a reservation expires, or a limit that is planned comes into force. NULL: by
-- nothing that is known, or nothing refuses it. Planned limits of quotas that burn are not looked at.
CREATE FUNCTION gate.access_returns(p_tenant uuid, p_feature text, p_at timestamptz)
RETURNS timestamptz LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  q gate.quota%ROWTYPE;
  v_used numeric;
  v_left numeric;
  v_unheld boolean;
  v_next timestamptz;
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  SELECT * INTO q FROM gate.quota w
   WHERE w.tenant_id = p_tenant AND w.feature_key = p_feature
     AND w.window_start <= p_at AND w.window_end > p_at;
  IF q.hard_limit IS NULL THEN
    RETURN NULL;
  END IF;
  IF q.burns THEN
    SELECT (SELECT coalesce(sum(c), 0) FROM unnest(d.closing) AS c) INTO v_left
      FROM gate.burn_down(p_tenant, p_feature, p_at, true, NULL, 0) AS d
     ORDER BY d.segment_start DESC LIMIT 1;
    SELECT min(d.segment_start) INTO v_next
      FROM gate.burn_down(p_tenant, p_feature, 'infinity', true, NULL, 0) AS d
     WHERE d.segment_start > p_at AND (SELECT sum(c) FROM unnest(d.closing) AS c) > v_left;
    SELECT (SELECT sum(c) FROM unnest(d.closing) AS c) > v_left INTO v_unheld
      FROM gate.burn_down(p_tenant, p_feature, p_at, false, NULL, 0) AS d
     ORDER BY d.segment_start DESC LIMIT 1;
  ELSE
    v_used := (SELECT coalesce(sum(u.used), 0) FROM gate.quota_use u
                WHERE u.tenant_id = p_tenant AND u.feature_key = p_feature
                  AND u.window_start = q.window_start);
    v_unheld := v_used < q.hard_limit;
    v_next := (SELECT min(w.window_start) FROM gate.quota w
                WHERE w.tenant_id = p_tenant AND w.feature_key = p_feature
                  AND w.window_start >= q.window_end
                  AND (w.hard_limit > 0 OR w.hard_limit IS NULL));
    v_next := least(v_next, (
      SELECT min(p.at) FROM gate.pending p
       WHERE p.tenant_id = p_tenant AND p.at > p_at AND p.hard_limits ? p_feature
         AND coalesce((p.hard_limits ->> p_feature)::numeric, 'Infinity')
             > CASE WHEN p.at < q.window_end THEN v_used ELSE 0 END));
  END IF;
  IF v_unheld THEN
    v_next := least(v_next, (
      SELECT min(h.expires_at) FROM gate.hold h
       WHERE h.tenant_id = p_tenant AND h.meter = q.meter AND h.state = 'held'
         AND h.expires_at > p_at
         AND h.at >= coalesce(q.period_start, q.window_start)
         AND h.at < coalesce(q.period_end, q.window_end)));
  END IF;
  RETURN v_next;
END $$;

REVOKE ALL ON FUNCTION gate.access_returns FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate.access_returns TO innkeeper_app, innkeeper_staff;
