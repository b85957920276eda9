-- What each erasure took, told by a sealed entry: openings that are gone without it were torn out.

-- The openings of a person in one entry that an erasure deleted, by their paths in the leaf. The
-- entry `erasure` (audit.pii.erased) holds the digest over all of them; see docs/adr/0132.
CREATE TABLE audit_erased (
  event_id  uuid NOT NULL,
  erasure   uuid NOT NULL,
  tenant_id uuid NOT NULL,
  paths     text[] NOT NULL,
  PRIMARY KEY (event_id, erasure)
);
CREATE INDEX audit_erased_erasure ON audit_erased (erasure);
CREATE INDEX audit_erased_tenant ON audit_erased (tenant_id);

CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE ON audit_erased
  FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON audit_erased
  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_erased ENABLE ALWAYS TRIGGER audit_refuse_change;
ALTER TABLE audit_erased ENABLE ALWAYS TRIGGER audit_refuse_truncate;

-- As before (0009), but it writes down what it took, under the id of the entry that will tell of it.
-- `erased` is null, and nothing happens, when a hold covers one of the entries concerned.
DROP FUNCTION audit_erase_subject(uuid, text);
CREATE FUNCTION audit_erase_subject(tenant uuid, subject text, entry uuid,
                                    OUT erased bigint, OUT digest text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
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
    RETURN;
  END IF;
  WITH gone AS (
    DELETE FROM audit_pii p WHERE p.tenant_id = tenant AND p.subject_id = subject
    RETURNING p.event_id, p.doc
  )
  INSERT INTO audit_erased (event_id, erasure, tenant_id, paths)
    SELECT gone.event_id, entry, tenant, ARRAY(SELECT jsonb_object_keys(
             CASE WHEN jsonb_typeof(gone.doc) = 'object' THEN gone.doc ELSE '{}' END))
    FROM gone;
  DELETE FROM audit_search s
    WHERE s.event_id IN (SELECT t.event_id FROM audit_erased t WHERE t.erasure = entry);
  -- The same bytes as audit.encoding.erased.digest() has them.
  SELECT count(*), encode(sha256(convert_to(coalesce(string_agg(
           t.event_id || ' ' || octet_length(p.path) || ' ' || p.path || E'\n', ''
           ORDER BY t.event_id, p.path COLLATE "C"), ''), 'UTF8')), 'hex')
    INTO erased, digest
    FROM audit_erased t, unnest(t.paths) AS p (path) WHERE t.erasure = entry;
END
$$;
REVOKE ALL ON FUNCTION audit_erase_subject(uuid, text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_erase_subject(uuid, text, uuid) TO innkeeper_app, innkeeper_staff;

-- As before (0009), but a document that is none, which only the database's owner can have put there,
-- has no words instead of stopping the indexing of everybody's.
CREATE OR REPLACE FUNCTION audit_words_of(event uuid) RETURNS text
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce((SELECT string_agg(opening.value ->> 1, ' ')
                   FROM jsonb_each(CASE WHEN jsonb_typeof(held.doc) = 'object' THEN held.doc
                                        ELSE '{}' END) opening), '')
  FROM (SELECT p.doc FROM public.audit_pii p WHERE p.event_id = event
        FOR KEY SHARE SKIP LOCKED) held
$$;
