-- What keeps the log append-only: triggers, privileges and partitions that carry both.

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: the audit log is append-only', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END
$$;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['audit_event', 'audit_blob', 'audit_leaf', 'audit_node',
                              'audit_checkpoint', 'audit_heads_entry', 'audit_anchor'] LOOP
    EXECUTE format('CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE ON %I '
                   'FOR EACH ROW EXECUTE FUNCTION audit_refuse()', name);
    EXECUTE format('CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON %I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER audit_refuse_change', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER audit_refuse_truncate', name);
  END LOOP;
  -- Openings may be deleted (erasure), never altered or emptied wholesale.
  CREATE TRIGGER audit_refuse_change BEFORE UPDATE ON audit_pii
    FOR EACH ROW EXECUTE FUNCTION audit_refuse();
  CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON audit_pii
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
  ALTER TABLE audit_pii ENABLE ALWAYS TRIGGER audit_refuse_change;
  ALTER TABLE audit_pii ENABLE ALWAYS TRIGGER audit_refuse_truncate;
  -- Heads move forward and are never removed.
  CREATE TRIGGER audit_refuse_change BEFORE DELETE ON audit_head
    FOR EACH ROW EXECUTE FUNCTION audit_refuse();
  CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
  ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_refuse_change;
  ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_refuse_truncate;
END
$$;

-- A partition is reached through its parent only: nobody holds a privilege on it, and a trigger of its own
-- refuses TRUNCATE, which the parent's does not (measured).
CREATE FUNCTION audit_adopt_partition(partition regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, innkeeper_app, innkeeper_staff, innkeeper_sealer',
                 partition);
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', partition);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', partition);
  EXECUTE format('CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON %s '
                 'FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()', partition);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER audit_refuse_truncate', partition);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER audit_refuse_change', partition);
END
$$;

-- Makes the monthly partitions from the current month to `ahead` months later; returns how many are new.
CREATE FUNCTION audit_ensure_partitions(ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  first date := date_trunc('month', now() AT TIME ZONE 'UTC')::date;
  start date;
  name text;
  made integer := 0;
BEGIN
  FOR step IN 0..ahead LOOP
    start := (first + make_interval(months => step))::date;
    name := 'audit_event_' || to_char(start, 'YYYYMM');
    IF to_regclass('public.' || name) IS NULL THEN
      EXECUTE format(
        'CREATE TABLE public.%I PARTITION OF public.audit_event FOR VALUES FROM (%L) TO (%L)', name,
        start::text || ' 00:00:00+00', (start + interval '1 month')::date::text || ' 00:00:00+00');
      PERFORM public.audit_adopt_partition(to_regclass('public.' || name));
      made := made + 1;
    END IF;
  END LOOP;
  RETURN made;
END
$$;

-- The net under a worker that stood still for months: a write must never fail for want of a partition.
CREATE TABLE audit_event_default PARTITION OF audit_event DEFAULT;
SELECT audit_adopt_partition('audit_event_default');
SELECT audit_ensure_partitions(3);

REVOKE ALL ON FUNCTION audit_adopt_partition(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION audit_ensure_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_ensure_partitions(integer) TO innkeeper_sealer;

-- Erasure: the openings of one person in one tenant's log, and the search rows that hold their words. Leaves,
-- hashes and proofs stay. The app may erase for the tenant it works for and no other.
CREATE FUNCTION audit_erase_subject(tenant uuid, subject text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  erased bigint;
BEGIN
  IF session_user = 'innkeeper_app'
     AND tenant IS DISTINCT FROM NULLIF(current_setting('app.tenant', true), '')::uuid THEN
    RAISE EXCEPTION 'erasure for another tenant is refused' USING ERRCODE = 'insufficient_privilege';
  END IF;
  WITH gone AS (
    DELETE FROM audit_pii p WHERE p.tenant_id = tenant AND p.subject_id = subject
    RETURNING p.event_id, (SELECT count(*) FROM jsonb_object_keys(p.doc)) AS openings
  ), words AS (
    DELETE FROM audit_search s USING gone WHERE s.event_id = gone.event_id
  )
  SELECT coalesce(sum(openings), 0) INTO erased FROM gone;
  RETURN erased;
END
$$;
REVOKE ALL ON FUNCTION audit_erase_subject(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_erase_subject(uuid, text) TO innkeeper_app, innkeeper_staff;
