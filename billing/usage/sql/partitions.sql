-- One month of the ledger. Rows that waited in the default partition move over, so that a month
-- can be made late. For the owner's jobs only.
CREATE FUNCTION billing_usage_make_month(p_month date) RETURNS text LANGUAGE plpgsql AS $$
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
  RETURN v_name;
END $$;

-- Close a partition: it is read and written through its parent only, where the policies are.
CREATE FUNCTION billing_usage_protect(p_name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('REVOKE ALL ON %I FROM innkeeper_app, innkeeper_staff', p_name);
  EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', p_name);
  EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', p_name);
  EXECUTE format('CREATE POLICY owner_all ON %I TO innkeeper_owner USING (true) WITH CHECK (true)', p_name);
END $$;

DO $$
BEGIN
  FOR i IN 0..15 LOOP
    EXECUTE format('CREATE TABLE billing_usage_seen_%s PARTITION OF billing_usage_seen '
                   'FOR VALUES WITH (MODULUS 16, REMAINDER %s)', i, i);
    PERFORM billing_usage_protect('billing_usage_seen_' || i);
  END LOOP;
  CREATE TABLE billing_usage_event_default PARTITION OF billing_usage_event DEFAULT;
  PERFORM billing_usage_protect('billing_usage_event_default');
  FOR i IN -12..3 LOOP
    PERFORM billing_usage_make_month((date_trunc('month', now() AT TIME ZONE 'UTC')
                                      + make_interval(months => i))::date);
  END LOOP;
END $$;
