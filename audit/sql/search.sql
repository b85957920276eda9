-- Search of one tenant among many; see docs/adr/0130.

-- The newest matches of the connection's own tenant, from `since` (included) to `before`; all of
-- them where `most` is null. It reads past row-level security (docs/adr/0117): the tenant is never
-- an argument. A search that most entries match is answered by the newest entries themselves; what
-- fewer than one in 32 of these match comes from the index.
CREATE OR REPLACE FUNCTION audit_find(asked text, since uuid, before uuid, most integer) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  mine uuid := NULLIF(current_setting('app.tenant', true), '')::uuid;
  wanted tsquery := websearch_to_tsquery('simple', asked);
  oldest uuid := coalesce(since, '00000000-0000-0000-0000-000000000000');
  newest uuid := coalesce(before, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  narrowed tsquery;
  hits uuid[];
  depth integer := 256;
BEGIN
  IF mine IS NULL THEN
    RETURN;
  END IF;
  IF numnode(wanted) = 0 THEN  -- no word was asked for: every entry has this one
    wanted := quote_literal('tenant:' || mine)::tsquery;
  END IF;
  narrowed := audit_narrowed(mine, wanted);
  WHILE most > 0 LOOP
    hits := ARRAY(
      SELECT n.event_id FROM (
        SELECT s.event_id, s.words FROM audit_search s
        WHERE s.tenant_id = mine AND s.event_id >= oldest AND s.event_id < newest
        ORDER BY s.event_id DESC LIMIT depth) n
      WHERE n.words @@ wanted ORDER BY n.event_id DESC LIMIT most);
    RETURN QUERY SELECT unnest(hits);
    most := most - cardinality(hits);
    IF most = 0 THEN
      RETURN;
    END IF;
    newest := (SELECT s.event_id FROM audit_search s
               WHERE s.tenant_id = mine AND s.event_id >= oldest AND s.event_id < newest
               ORDER BY s.event_id DESC OFFSET depth - 1 LIMIT 1);
    IF newest IS NULL THEN
      RETURN;
    END IF;
    EXIT WHEN depth = 4096 OR cardinality(hits) * 32 < depth;
    depth := depth * 4;
  END LOOP;
  IF narrowed IS NULL THEN
    RETURN QUERY
      SELECT s.event_id FROM audit_search s
      WHERE s.tenant_id = mine AND s.event_id >= oldest AND s.event_id < newest
        AND s.words @@ wanted
      ORDER BY s.event_id DESC LIMIT most;
    RETURN;
  END IF;
  -- Apart, so that the planner goes through this index and neither through the tenant's entries nor
  -- through the index of all tenants' words.
  RETURN QUERY
    WITH matching AS MATERIALIZED (
      SELECT s.tenant_id, s.event_id FROM audit_search s
      WHERE audit_scoped(s.tenant_id, s.words) @@ narrowed AND (s.words @@ wanted) IS TRUE)
    SELECT m.event_id FROM matching m
    WHERE m.tenant_id = mine AND m.event_id >= oldest AND m.event_id < newest
    ORDER BY m.event_id DESC LIMIT most;
END
$$;
REVOKE ALL ON FUNCTION audit_find(text, uuid, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_find(text, uuid, uuid, integer) TO innkeeper_app, innkeeper_staff;

-- As processes of the release before ask, while they still run.
CREATE OR REPLACE FUNCTION audit_find(asked text) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER ROWS 100 SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT public.audit_find(asked, NULL, NULL, NULL)
$$;
