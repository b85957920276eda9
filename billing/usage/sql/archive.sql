-- What left the ledger, and the answer to whom it comes too late for: docs/adr/0103, 0104.

-- One row for each file. `tenant_id` NULL: events that no tenant was found for.
CREATE TABLE billing_usage_archive (
  id uuid PRIMARY KEY,
  month date NOT NULL,
  tenant_id uuid,
  file text NOT NULL UNIQUE,
  events bigint NOT NULL,
  bytes bigint NOT NULL,
  sha256 text NOT NULL,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL,
  written_at timestamptz NOT NULL,
  removed_at timestamptz
);
CREATE INDEX billing_usage_archive_month ON billing_usage_archive (tenant_id, month);

-- Months that take no more events: of one tenant, or of everyone (the zero id). Closed before the
-- first row is written out, so that nothing slips in behind.
CREATE TABLE billing_usage_closed (
  tenant_id uuid NOT NULL,
  month date NOT NULL,
  closed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, month)
);

CREATE FUNCTION billing_usage_month(at timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN date_trunc('month', at AT TIME ZONE 'UTC')::date;

-- The places, from 1, of the instants that fall into a closed month of their tenant. Works as the
-- owner: the zero id is nobody's tenant. Volatile: a writer that waited for the closing must see it,
-- and a statement's own snapshot would not. It tells a caller nothing but about instants of its own.
CREATE FUNCTION billing_usage_too_late(p_tenant uuid[], p_time timestamptz[]) RETURNS bigint[]
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce(array_agg(place ORDER BY place), '{}')
    FROM unnest(p_tenant, p_time) WITH ORDINALITY AS u (tenant_id, time, place)
   WHERE EXISTS (SELECT FROM billing_usage_closed AS closed
                  WHERE closed.month = billing_usage_month(u.time)
                    AND closed.tenant_id IN ('00000000-0000-0000-0000-000000000000', u.tenant_id))
$$;

-- Keep what comes too late out of the ledger. On the default partition always, on a month from the
-- moment in which it is closed for somebody: events of now pay nothing. 22A01 is ours.
CREATE FUNCTION billing_usage_refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF billing_usage_too_late(ARRAY[NEW.tenant_id], ARRAY[NEW.time]) <> '{}' THEN
    RAISE EXCEPTION 'an event of a month that was archived' USING ERRCODE = '22A01';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER refuse_late BEFORE INSERT ON billing_usage_event_default
  FOR EACH ROW EXECUTE FUNCTION billing_usage_refuse_late();

-- Close a month for one tenant, or for everyone (the zero id). When this commits, whatever was being
-- written into the month is there to be seen, and nothing more of the tenant's will be.
CREATE FUNCTION billing_usage_close(p_partition text, p_tenant uuid, p_month date) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', p_partition);
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = p_partition::regclass AND tgname = 'refuse_late')
  THEN
    EXECUTE format('CREATE TRIGGER refuse_late BEFORE INSERT ON %I'
                   ' FOR EACH ROW EXECUTE FUNCTION billing_usage_refuse_late()', p_partition);
  END IF;
  INSERT INTO billing_usage_closed (tenant_id, month) VALUES (p_tenant, p_month)
  ON CONFLICT DO NOTHING;
END $$;

-- Remove what was archived of one tenant (NULL: of no tenant) from a month that stays for others,
-- with its dedupe keys. Returns how many events went: another number than was written means that
-- some came in between, and the caller rolls back.
CREATE FUNCTION billing_usage_remove(p_partition text, p_tenant uuid) RETURNS bigint
LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
  v_gone bigint;
BEGIN
  EXECUTE format($sql$
    WITH gone AS (
      DELETE FROM %I WHERE tenant_id IS NOT DISTINCT FROM $1 RETURNING scope, source, id, seq
    ), forgotten AS (
      DELETE FROM billing_usage_seen AS seen USING gone
       WHERE seen.scope = gone.scope AND seen.source = gone.source AND seen.id = gone.id
         AND seen.seq = gone.seq
    ) SELECT count(*) FROM gone $sql$, p_partition) INTO v_gone USING p_tenant;
  RETURN v_gone;
END $$;

-- Drop a whole month with its dedupe keys. Returns how many events it still had.
CREATE FUNCTION billing_usage_drop_month(p_partition text) RETURNS bigint
LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
  v_gone bigint;
BEGIN
  EXECUTE format('ALTER TABLE billing_usage_event DETACH PARTITION %I', p_partition);
  EXECUTE format($sql$
    WITH forgotten AS (
      DELETE FROM billing_usage_seen AS seen USING %I AS gone
       WHERE seen.scope = gone.scope AND seen.source = gone.source AND seen.id = gone.id
         AND seen.seq = gone.seq
    ) SELECT count(*) FROM %I $sql$, p_partition, p_partition) INTO v_gone;
  EXECUTE format('DROP TABLE %I', p_partition);
  RETURN v_gone;
END $$;

-- Roll-ups of a closed month cannot be made anew: there is nothing to make them from.
ALTER FUNCTION billing_usage_recount(uuid, uuid, timestamptz, timestamptz)
  RENAME TO billing_usage_recount_kept;
CREATE FUNCTION billing_usage_recount(
  p_meter uuid, p_tenant uuid, p_from timestamptz, p_to timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF billing_usage_too_late(ARRAY[p_tenant], ARRAY[p_from]) = '{}' THEN
    PERFORM billing_usage_recount_kept(p_meter, p_tenant, p_from, p_to);
  END IF;
END $$;

GRANT EXECUTE ON FUNCTION
  billing_usage_month, billing_usage_too_late, billing_usage_refuse_late, billing_usage_recount,
  billing_usage_recount_kept
TO innkeeper_app;
REVOKE ALL ON FUNCTION billing_usage_remove, billing_usage_drop_month, billing_usage_close
  FROM innkeeper_app, innkeeper_staff;
