-- Retention, legal hold and pruning. A pruned entry's bytes, openings, blob and words go; its hash, its
-- place and every tile, checkpoint and head stay. What goes was announced before: an entry of the log
-- and a signed statement. Design: docs/audit.md, "Keep, hold, prune"; docs/adr/0106.

-- How long entries are kept. Rows of the instance's tenant (all zeros): plan '' is the instance's own
-- log, '*' every tenant without a rule of its own, anything else the tenants on that plan.
CREATE TABLE audit_retention (
  tenant_id  uuid NOT NULL,
  plan       text NOT NULL DEFAULT '',
  days       integer CHECK (days BETWEEN 1 AND 36500),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, plan),
  CHECK (plan = '' OR tenant_id = '00000000-0000-0000-0000-000000000000')
);

-- What must stay whatever its age and whoever asks. An empty filter holds all of the tenant's entries.
CREATE TABLE audit_hold (
  id          uuid PRIMARY KEY,
  tenant_id   uuid NOT NULL,
  reason      text NOT NULL,
  filter      jsonb NOT NULL DEFAULT '{}',
  set_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  released_at timestamptz
);
CREATE INDEX audit_hold_open ON audit_hold (tenant_id) WHERE released_at IS NULL;

-- Announcements. Each tells all that has been pruned of its log so far, so that the newest is enough.
CREATE TABLE audit_pruning (
  seq          bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (CACHE 1),
  tenant_id    uuid NOT NULL,
  log_id       uuid NOT NULL,
  event_id     uuid NOT NULL,
  upto         bigint NOT NULL CHECK (upto > 0),
  root         bytea NOT NULL CHECK (octet_length(root) = 32),
  ranges       int8multirange NOT NULL CHECK (NOT isempty(ranges)),
  months       date[] NOT NULL,
  statement    text NOT NULL,
  announced_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX audit_pruning_log ON audit_pruning (log_id, seq);
CREATE INDEX audit_pruning_tenant ON audit_pruning (tenant_id);

-- Months that were rewritten without what is announced up to announcement `upto`.
CREATE TABLE audit_drop (
  month   date NOT NULL,
  upto    bigint NOT NULL,
  kept    bigint NOT NULL,
  gone    bigint NOT NULL,
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (month, upto)
);

-- Tells whether an entry is under a hold. A filter's members hold together; lists are alternatives.
CREATE FUNCTION audit_held(e audit_event) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT 1 FROM audit_hold h
    WHERE h.tenant_id = e.tenant_id AND h.released_at IS NULL
      AND (NOT h.filter ? 'actor' OR h.filter -> 'actor' ? e.actor_id)
      AND (NOT h.filter ? 'target' OR h.filter -> 'target' ? e.target_id)
      AND (NOT h.filter ? 'action' OR e.action = h.filter ->> 'action'
           OR (h.filter ->> 'action' LIKE '%.*'
               AND starts_with(e.action, rtrim(h.filter ->> 'action', '*'))))
      AND (NOT h.filter ? 'from' OR e.occurred_at >= (h.filter ->> 'from')::timestamptz)
      AND (NOT h.filter ? 'to' OR e.occurred_at < (h.filter ->> 'to')::timestamptz)
      AND (NOT h.filter ? 'person' OR h.filter -> 'person' ? e.actor_id
           OR h.filter -> 'person' ? e.target_id
           OR EXISTS (SELECT 1 FROM audit_pii p
                      WHERE p.event_id = e.id AND h.filter -> 'person' ? p.subject_id)))
$$;

-- Setting a hold waits for erasures that run, and erasures wait for the hold.
CREATE FUNCTION audit_hold_key(tenant uuid) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN hashtextextended('audit_hold:' || tenant::text, 0);

-- As before, but null, and nothing erased, when a hold covers one of the entries concerned.
CREATE OR REPLACE FUNCTION audit_erase_subject(tenant uuid, subject text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  erased bigint;
BEGIN
  IF session_user = 'innkeeper_app'
     AND tenant IS DISTINCT FROM NULLIF(current_setting('app.tenant', true), '')::uuid THEN
    RAISE EXCEPTION 'erasure for another tenant is refused' USING ERRCODE = 'insufficient_privilege';
  END IF;
  PERFORM pg_advisory_xact_lock_shared(audit_hold_key(tenant));
  IF EXISTS (SELECT 1 FROM audit_hold h WHERE h.tenant_id = tenant AND h.released_at IS NULL) AND (
       EXISTS (SELECT 1 FROM audit_hold h
               WHERE h.tenant_id = tenant AND h.released_at IS NULL AND h.filter = '{}')
       OR EXISTS (SELECT 1 FROM audit_pii p JOIN audit_event e ON e.id = p.event_id
                  WHERE p.tenant_id = tenant AND p.subject_id = subject AND audit_held(e))) THEN
    RETURN NULL;
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

-- The newest announcement of each log.
CREATE VIEW audit_pruned WITH (security_invoker = true) AS
  SELECT DISTINCT ON (log_id) * FROM audit_pruning ORDER BY log_id, seq DESC;

CREATE FUNCTION audit_is_pruned(event uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT 1 FROM audit_leaf l
    WHERE l.event_id = event AND l.leaf_index <@ (
      SELECT p.ranges FROM audit_pruning p WHERE p.log_id = l.log_id ORDER BY p.seq DESC LIMIT 1))
$$;

-- A blob may go with the entry that it belongs to, and in no other way.
CREATE FUNCTION audit_refuse_blob() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND audit_is_pruned(OLD.event_id) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION '% on % is refused: the audit log is append-only', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END
$$;
DROP TRIGGER audit_refuse_change ON audit_blob;
CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE ON audit_blob
  FOR EACH ROW EXECUTE FUNCTION audit_refuse_blob();
ALTER TABLE audit_blob ENABLE ALWAYS TRIGGER audit_refuse_change;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['audit_pruning', 'audit_drop'] LOOP
    EXECUTE format('CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE ON %I '
                   'FOR EACH ROW EXECUTE FUNCTION audit_refuse()', name);
    EXECUTE format('CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON %I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER audit_refuse_change', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER audit_refuse_truncate', name);
  END LOOP;
END
$$;

-- Months with announced entries that have not been dropped yet, oldest first.
CREATE FUNCTION audit_pending_months() RETURNS SETOF date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT DISTINCT m.month FROM audit_pruning p, unnest(p.months) AS m (month)
  WHERE NOT EXISTS (SELECT 1 FROM audit_drop d WHERE d.month = m.month AND d.upto >= p.seq)
  ORDER BY 1
$$;

-- Drops one month's partition and puts one in its place with what must stay: entries that are not
-- announced, and whatever a hold covers. The log is locked for the swap only; where it does not get that
-- lock within some seconds, because a long transaction writes, nothing has happened: try again later.
CREATE FUNCTION audit_drop_month(wanted date, OUT kept bigint, OUT gone bigint, OUT held bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  first timestamptz := date_trunc('month', wanted)::date::text || ' 00:00:00+00';
  past  timestamptz := (date_trunc('month', wanted) + interval '1 month')::date::text || ' 00:00:00+00';
  old   text := 'audit_event_' || to_char(wanted, 'YYYYMM');
  fresh text := old || '_kept';
  cols  text;
  last  bigint;
  began timestamptz;
  total bigint;
  tries integer := 0;
BEGIN
  IF past > now() THEN
    RAISE EXCEPTION 'the month % has not ended', wanted USING ERRCODE = 'object_in_use';
  END IF;
  PERFORM set_config('lock_timeout', '2s', true);
  kept := 0; gone := 0; held := 0;
  -- Two of them would wait for each other at the swap.
  PERFORM pg_advisory_xact_lock(hashtextextended('audit_drop_month', 0));
  IF to_regclass('public.' || old) IS NULL THEN
    INSERT INTO audit_drop (month, upto, kept, gone)
      SELECT wanted, max(seq), 0, 0 FROM audit_pruning HAVING count(*) > 0
      ON CONFLICT DO NOTHING;
    RETURN;
  END IF;
  -- Nobody writes into an old month; who still does, in a transaction that began in it, has ended now.
  EXECUTE format('LOCK TABLE public.%I IN SHARE MODE', old);
  began := clock_timestamp();
  SELECT max(seq) INTO last FROM audit_pruning;
  SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO cols FROM pg_attribute
    WHERE attrelid = 'public.audit_event'::regclass AND attnum > 0 AND NOT attisdropped
      AND attgenerated = '';
  EXECUTE format('CREATE TABLE public.%I (LIKE public.audit_event INCLUDING DEFAULTS '
                 'INCLUDING GENERATED INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING STORAGE, '
                 'CONSTRAINT in_month CHECK (recorded_at >= %L AND recorded_at < %L))',
                 fresh, first, past);
  EXECUTE format(
    'WITH pruned AS MATERIALIZED (SELECT log_id, ranges FROM public.audit_pruned) '
    'INSERT INTO public.%1$I (%2$s) SELECT %2$s FROM public.audit_event e '
    'WHERE e.recorded_at >= $1 AND e.recorded_at < $2 AND (NOT EXISTS ('
    '  SELECT 1 FROM public.audit_leaf l JOIN pruned p USING (log_id) '
    '  WHERE l.event_id = e.id AND l.leaf_index <@ p.ranges) '
    '  OR (e.tenant_id IN (SELECT h.tenant_id FROM public.audit_hold h WHERE h.released_at IS NULL) '
    '      AND public.audit_held(e)))', fresh, cols) USING first, past;
  GET DIAGNOSTICS kept = ROW_COUNT;
  SELECT count(*) INTO total FROM audit_event WHERE recorded_at >= first AND recorded_at < past;
  gone := total - kept;
  EXECUTE format('SELECT count(*) FROM public.%I k WHERE public.audit_is_pruned(k.id)', fresh)
    INTO held;
  IF gone = 0 THEN
    EXECUTE format('DROP TABLE public.%I', fresh);
  ELSE
    EXECUTE format(
      'WITH gone AS MATERIALIZED (SELECT e.id FROM public.audit_event e '
      '  WHERE e.recorded_at >= $1 AND e.recorded_at < $2 '
      '    AND NOT EXISTS (SELECT 1 FROM public.%I k WHERE k.id = e.id)), '
      'openings AS (DELETE FROM public.audit_pii p USING gone WHERE p.event_id = gone.id), '
      'blobs AS (DELETE FROM public.audit_blob b USING gone WHERE b.event_id = gone.id) '
      'DELETE FROM public.audit_search s USING gone WHERE s.event_id = gone.id', fresh)
      USING first, past;
    LOCK TABLE audit_hold IN SHARE MODE;
    IF EXISTS (SELECT 1 FROM audit_hold WHERE set_at >= began) THEN
      RAISE EXCEPTION 'a hold was set meanwhile' USING ERRCODE = 'lock_not_available';
    END IF;
    PERFORM set_config('lock_timeout', '100ms', true);
    LOOP
      BEGIN
        LOCK TABLE ONLY audit_event IN ACCESS EXCLUSIVE MODE;
        EXIT;
      EXCEPTION WHEN lock_not_available THEN
        tries := tries + 1;
        IF tries >= coalesce(nullif(current_setting('app.swap_tries', true), '')::integer, 50) THEN
          RAISE;
        END IF;
        PERFORM pg_sleep(0.2);
      END;
    END LOOP;
    EXECUTE format('ALTER TABLE public.audit_event DETACH PARTITION public.%I', old);
    EXECUTE format('DROP TABLE public.%I', old);
    IF kept > 0 THEN
      EXECUTE format('ALTER TABLE public.%I RENAME TO %I', fresh, old);
      EXECUTE format('ALTER TABLE public.audit_event ATTACH PARTITION public.%I '
                     'FOR VALUES FROM (%L) TO (%L)', old, first, past);
      EXECUTE format('ALTER TABLE public.%I DROP CONSTRAINT in_month', old);
      PERFORM audit_adopt_partition(to_regclass('public.' || old));
    ELSE
      EXECUTE format('DROP TABLE public.%I', fresh);
    END IF;
  END IF;
  -- What a hold kept although it is announced is looked at again.
  IF held = 0 AND last IS NOT NULL THEN
    INSERT INTO audit_drop (month, upto, kept, gone)
      VALUES (date_trunc('month', wanted)::date, last, audit_drop_month.kept, audit_drop_month.gone)
      ON CONFLICT DO NOTHING;
  END IF;
END
$$;

REVOKE ALL ON FUNCTION audit_pending_months() FROM PUBLIC;
REVOKE ALL ON FUNCTION audit_drop_month(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_pending_months(), audit_drop_month(date) TO innkeeper_staff;
GRANT SELECT ON audit_pruned TO innkeeper_app, innkeeper_staff, innkeeper_sealer;
