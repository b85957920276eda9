-- Where the events of one id lie, of the connection's tenant, whoever reported them: the dedupe key
-- is searched once for each source that it knows, so that no index is kept for this alone. It runs
-- as the owner, because the operator's keys are in a scope that no tenant sees; the tenant is the
-- connection's own, as in the policies, and never an argument.
CREATE FUNCTION billing_usage_find(p_id text) RETURNS TABLE (found_time timestamptz, found_seq bigint)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT event.time, event.seq
  FROM billing_usage_seen AS seen
  JOIN billing_usage_event AS event
    ON event.tenant_id = NULLIF(current_setting('app.tenant', true), '')::uuid
   AND event.time = seen.time AND event.seq = seen.seq
  WHERE seen.id = p_id AND seen.scope IN (
    NULLIF(current_setting('app.tenant', true), '')::uuid,
    '00000000-0000-0000-0000-000000000000'::uuid)
  ORDER BY event.time DESC, event.seq DESC LIMIT 100
$$;
REVOKE ALL ON FUNCTION billing_usage_find FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing_usage_find TO innkeeper_app, innkeeper_staff;
