-- Words and erasures: whoever is erased while an entry is being indexed leaves no words behind.

-- The values of an entry's openings for the index, held against erasure until the indexing
-- transaction ends; null when they are just being erased: an indexer waits for nobody.
CREATE FUNCTION audit_words_of(event uuid) RETURNS text
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce((SELECT string_agg(opening.value ->> 1, ' ') FROM jsonb_each(held.doc) opening), '')
  FROM (SELECT p.doc FROM public.audit_pii p WHERE p.event_id = event
        FOR KEY SHARE SKIP LOCKED) held
$$;
REVOKE ALL ON FUNCTION audit_words_of(uuid) FROM PUBLIC, innkeeper_staff;
GRANT EXECUTE ON FUNCTION audit_words_of(uuid) TO innkeeper_sealer;

-- As before, but the words go in a statement of their own: its snapshot is taken when the openings
-- are gone, which had to wait for whoever was indexing them, so it sees the words that came of that.
CREATE OR REPLACE FUNCTION audit_erase_subject(tenant uuid, subject text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  erased bigint;
  touched uuid[];
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
  )
  SELECT coalesce(sum(openings), 0), array_agg(event_id) INTO erased, touched FROM gone;
  DELETE FROM audit_search s WHERE s.event_id = ANY (touched);
  RETURN erased;
END
$$;
