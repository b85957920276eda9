-- Idempotency keys of many requests in one transaction: see kernel/idempotency.py.

-- Hold keys until the transaction ends, and look up what they answered before. A row for each place
-- whose key another transaction holds (`running`) or that was answered in the last p_hours; none for
-- a key that is free and now held, and for a place without a key.
--   p_owner  the tenant of the record, NULL for the operator's own
--   p_lock   the number that stands for the key while it runs
CREATE FUNCTION kernel_replies(
  p_owner uuid[], p_lock bigint[], p_scope bytea[], p_hours int
) RETURNS TABLE (place int, running boolean, fingerprint bytea, status smallint, body bytea)
LANGUAGE plpgsql AS $$
BEGIN
  FOR place IN SELECT u.place FROM unnest(p_scope) WITH ORDINALITY AS u (scope, place)
                WHERE u.scope IS NOT NULL LOOP
    running := NOT pg_try_advisory_xact_lock(p_lock[place]);
    IF running THEN
      fingerprint := NULL;
      status := NULL;
      body := NULL;
      RETURN NEXT;
      CONTINUE;
    END IF;
    -- A statement of its own: its snapshot must be younger than the lock.
    IF p_owner[place] IS NULL THEN
      SELECT k.fingerprint, k.status, k.body INTO fingerprint, status, body
        FROM kernel_idempotency k
       WHERE k.tenant_id IS NULL AND k.scope = p_scope[place]
         AND k.created_at > clock_timestamp() - make_interval(hours => p_hours);
    ELSE
      SELECT k.fingerprint, k.status, k.body INTO fingerprint, status, body
        FROM kernel_idempotency k
       WHERE k.tenant_id = p_owner[place] AND k.scope = p_scope[place]
         AND k.created_at > clock_timestamp() - make_interval(hours => p_hours);
    END IF;
    IF FOUND THEN
      RETURN NEXT;
    END IF;
  END LOOP;
END $$;

GRANT EXECUTE ON FUNCTION kernel_replies TO innkeeper_app, innkeeper_staff;
