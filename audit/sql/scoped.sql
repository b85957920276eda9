-- Search of one tenant among many; see docs/adr/0130.

-- An entry's words as they are indexed: each begins with the end of its tenant's id, so the index
-- holds a list for each word of each tenant, and a word that all tenants use costs none of them
-- anything. Two tenants with the same end share lists: the row itself is asked, too.
CREATE OR REPLACE FUNCTION audit_scoped(tenant uuid, words tsvector) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  scope text := right(tenant::text, 8);
BEGIN
  RETURN array_to_tsvector(string_to_array(
    scope || array_to_string(tsvector_to_array(words), E'\x1f' || scope), E'\x1f'));
END
$$;
REVOKE ALL ON FUNCTION audit_scoped(uuid, tsvector) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_scoped(uuid, tsvector) TO innkeeper_sealer;

-- What the index can answer of a search: without what must not be there, and with phrases as words
-- anywhere, both of which the row decides. Null: nothing. Words hold no blanks, so an operator
-- between quotes is one.
CREATE OR REPLACE FUNCTION audit_narrowed(tenant uuid, wanted tsquery) RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  positive text := querytree(wanted);
BEGIN
  IF positive IN ('', 'T') THEN
    RETURN NULL;
  END IF;
  positive := regexp_replace(positive, '([)'']) <(?:-|[0-9]+)> (?=[(''])', '\1 & ', 'g');
  RETURN regexp_replace(positive, '''((?:[^''\\]|''''|\\.)*)''',
                        '''' || right(tenant::text, 8) || '\1''', 'g')::tsquery;
END
$$;
REVOKE ALL ON FUNCTION audit_narrowed(uuid, tsquery) FROM PUBLIC;
