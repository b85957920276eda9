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
REVOKE ALL ON FUNCTION billing_usage_describe FROM PUBLIC, innkeeper_app, innkeeper_staff;

SELECT billing_usage_describe(c.relname)
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'billing_usage_event'::regclass;

-- As in partitions.sql, but for the last step.
CREATE OR REPLACE FUNCTION billing_usage_make_month(p_month date) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_from timestamptz := date_trunc('month', p_month::timestamp) AT TIME ZONE 'UTC';
  v_to timestamptz := (date_trunc('month', p_month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
  v_name text := 'billing_usage_event_' || to_char(p_month, 'YYYYMM');
BEGIN
  IF to_regclass(v_name) IS NOT NULL THEN
    RETURN NULL;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE billing_usage_event INCLUDING DEFAULTS)', v_name);
  EXECUTE format('REVOKE ALL ON %I FROM innkeeper_staff', v_name);
  EXECUTE format($sql$
    WITH moved AS (
      DELETE FROM billing_usage_event_default WHERE time >= %L AND time < %L RETURNING *
    ) INSERT INTO %I SELECT * FROM moved $sql$, v_from, v_to, v_name);
  EXECUTE format('ALTER TABLE billing_usage_event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                 v_name, v_from, v_to);
  PERFORM billing_usage_protect(v_name);
  PERFORM billing_usage_describe(v_name);
  RETURN v_name;
END $$;
