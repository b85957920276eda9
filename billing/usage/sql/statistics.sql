-- What the planner is told of events. ANALYZE of a table that grows by tens of thousands of rows a
-- second took a fifth of two cores every quarter of a minute, most of it for columns that no
-- statement chooses a plan by: the data, and what is only read along. Repeats are looked for by
-- their whole key, always in the same way.
DO $$
DECLARE
  v_name text;
BEGIN
  FOR i IN 0..15 LOOP
    EXECUTE format('ALTER TABLE %I ALTER scope SET STATISTICS 0, ALTER source SET STATISTICS 0, '
                   'ALTER id SET STATISTICS 0, ALTER seq SET STATISTICS 0, ALTER time SET STATISTICS 0',
                   'billing_usage_seen_' || i);
  END LOOP;
END $$;

-- Tell the planner of a month what it uses.
CREATE FUNCTION billing_usage_describe(p_name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %I ALTER data SET STATISTICS 0, ALTER dataschema SET STATISTICS 0, '
                 'ALTER id SET STATISTICS 0, ALTER xid SET STATISTICS 0, '
                 'ALTER ingested_at SET STATISTICS 0, ALTER scope SET STATISTICS 0', p_name);
END $$;

SELECT billing_usage_describe(c.relname)
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'billing_usage_event'::regclass;

-- Make a month as partitions.sql does, and describe it.
ALTER FUNCTION billing_usage_make_month(date) RENAME TO billing_usage_make_bare_month;
CREATE FUNCTION billing_usage_make_month(p_month date) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_name text := billing_usage_make_bare_month(p_month);
BEGIN
  IF v_name IS NOT NULL THEN
    PERFORM billing_usage_describe(v_name);
  END IF;
  RETURN v_name;
END $$;
REVOKE ALL ON FUNCTION billing_usage_describe, billing_usage_make_month FROM innkeeper_staff;
