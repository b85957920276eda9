-- Keys that take the place of others: docs/adr/0140. A successor has a secret and an id of its own
-- and all else of its predecessor, the counter of its limits included, so that a rotation neither
-- gives a day anew nor splits what a key has used.

-- The key on whose counter this one counts: the first of its lineage. NULL: its own.
ALTER TABLE gate.credential ADD COLUMN counts_as uuid;

-- Whoever works for no tenant is the operator, and never the app role.
CREATE OR REPLACE FUNCTION gate.assert_tenant(p_tenant uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
BEGIN
  IF session_user = 'innkeeper_app'
     AND (p_tenant = NULLIF(current_setting('app.tenant', true), '')::uuid) IS NOT TRUE THEN
    RAISE EXCEPTION 'tenant % is not the tenant of this connection', p_tenant
      USING ERRCODE = 'insufficient_privilege';
  END IF;
END $$;

-- Make a successor known, and let its predecessor end at `p_end` unless it ends before. False where
-- there is no such key, or it is active no more.
CREATE FUNCTION gate.rotate_credential(
  p_key uuid, p_end timestamptz, p_public_id text, p_successor uuid, p_mac bytea,
  p_expires timestamptz
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  k gate.credential%ROWTYPE;
BEGIN
  SELECT * INTO k FROM gate.credential c WHERE c.key_id = p_key;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM gate.assert_tenant(k.tenant_id);
  UPDATE gate.credential c SET expires_at = least(c.expires_at, p_end)
   WHERE c.key_id = p_key AND c.status = 'active'
     AND (c.expires_at > clock_timestamp()) IS NOT FALSE;  -- NULL: never
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  k.public_id := p_public_id;
  k.counts_as := coalesce(k.counts_as, k.key_id);
  k.key_id := p_successor;
  k.mac := p_mac;
  k.expires_at := p_expires;
  INSERT INTO gate.credential SELECT k.*;
  RETURN true;
END $$;
REVOKE ALL ON FUNCTION gate.rotate_credential FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate.rotate_credential TO innkeeper_app, innkeeper_staff;

-- When keys were last admitted, or others of their lineage; platform keys have no counter and no
-- answer.
CREATE OR REPLACE FUNCTION gate.last_used(p_keys uuid[]) RETURNS TABLE (key_id uuid, at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT k.key_id, to_timestamp(c.last_us / 1000000.0)
    FROM gate.credential k
    JOIN gate.counter c ON c.subject = coalesce(k.counts_as, k.key_id)
   WHERE k.key_id = ANY (p_keys) AND c.last_us > 0
     AND (session_user <> 'innkeeper_app'
          OR c.tenant_id = NULLIF(current_setting('app.tenant', true), '')::uuid)
$$;

-- As in gate.sql, but for the counter.
CREATE OR REPLACE FUNCTION gate.admit(
  p_public_id text, p_macs bytea[], p_kind text, p_named uuid, p_ip inet, p_permission text,
  p_cost bigint,
  OUT code text, OUT key_id uuid, OUT lineage uuid, OUT kind text, OUT tenant_id uuid,
  OUT permissions text[], OUT config_version bigint, OUT entitlement_version bigint,
  OUT now_us bigint, OUT key_used bigint, OUT key_tat bigint, OUT tenant_used bigint,
  OUT tenant_tat bigint, OUT key_daily bigint, OUT key_interval bigint, OUT key_depth bigint,
  OUT tenant_daily bigint, OUT tenant_interval bigint, OUT tenant_depth bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off AS $$
DECLARE
  k gate.credential%ROWTYPE;
  t gate.tenant%ROWTYPE;
  n record;
BEGIN
  PERFORM set_config('app.tenant', '', false), set_config('synchronous_commit', 'off', true);
  SELECT * INTO k FROM gate.credential c WHERE c.public_id = p_public_id;
  IF NOT FOUND OR NOT (k.mac = ANY (p_macs)) THEN
    code := 'NOT_FOUND';
    RETURN;
  END IF;
  key_id := k.key_id;
  lineage := k.lineage;
  kind := k.kind;
  permissions := k.permissions;
  tenant_id := coalesce(k.tenant_id, p_named);
  IF k.status <> 'active' THEN
    code := 'DISABLED';
    RETURN;
  END IF;
  now_us := gate.now_us();
  IF k.expires_at <= clock_timestamp() THEN
    code := 'EXPIRED';
    RETURN;
  END IF;
  IF tenant_id IS NOT NULL THEN
    SELECT * INTO t FROM gate.tenant g WHERE g.tenant_id = coalesce(k.tenant_id, p_named);
    IF NOT FOUND OR t.status = 'closed' OR (k.kind = 'tenant' AND p_named <> k.tenant_id) THEN
      code := 'TENANT_NOT_FOUND';
      RETURN;
    END IF;
    IF t.changes_at <= clock_timestamp() THEN
      t := gate.apply_pending(t.tenant_id);
    END IF;
    IF k.kind = 'tenant' AND t.status <> 'active' THEN
      code := 'TENANT_SUSPENDED';
      RETURN;
    END IF;
    config_version := t.config_version;
    entitlement_version := t.entitlement_version;
  END IF;
  IF cardinality(k.cidrs) > 0 AND NOT coalesce(p_ip <<= ANY (k.cidrs), false) THEN
    code := 'FORBIDDEN';
    RETURN;
  END IF;
  IF p_kind IS NOT NULL AND p_kind <> k.kind THEN
    code := 'WRONG_KIND';
    RETURN;
  END IF;
  IF p_permission IS NOT NULL AND NOT gate.permits(k.permissions, p_permission) THEN
    code := 'INSUFFICIENT_PERMISSIONS';
    RETURN;
  END IF;
  IF k.kind = 'tenant' THEN
    SELECT l.* INTO key_daily, key_interval, key_depth, tenant_daily, tenant_interval, tenant_depth
      FROM gate.limits_of(k, t) AS l;
    n := gate.consume(coalesce(k.counts_as, k.key_id), k.tenant_id, p_cost, now_us,
                      key_daily, key_interval, key_depth,
                      tenant_daily, tenant_interval, tenant_depth);
    key_used := n.key_used;
    key_tat := n.key_tat;
    tenant_used := n.tenant_used;
    tenant_tat := n.tenant_tat;
    IF NOT n.admitted THEN
      code := 'LIMITED';
      RETURN;
    END IF;
  END IF;
  code := 'VALID';
  PERFORM set_config('app.tenant', coalesce(tenant_id::text, ''), false);
END $$;

-- As in gate.sql, but for the counter.
CREATE OR REPLACE FUNCTION gate.verify(
  p_caller_id text, p_caller_macs bytea[], p_caller_ip inet, p_permission text,
  p_public_id text, p_macs bytea[], p_ip inet, p_alternatives text[], p_feature text,
  p_cost bigint, p_meter text, p_quantity numeric,
  OUT caller_code text, OUT code text, OUT key_id uuid, OUT tenant_id uuid, OUT permissions text[],
  OUT now_us bigint, OUT key_used bigint, OUT key_tat bigint, OUT tenant_used bigint,
  OUT tenant_tat bigint, OUT key_daily bigint, OUT key_interval bigint, OUT key_depth bigint,
  OUT tenant_daily bigint, OUT tenant_interval bigint, OUT tenant_depth bigint,
  OUT quota_used numeric, OUT quota_limit numeric, OUT quota_reset bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off AS $$
DECLARE
  v_caller_tenant uuid;
  v_changes timestamptz;
  v_counter uuid;
  v_exceeded boolean;
  n record;
BEGIN
  SELECT CASE
      WHEN NOT (c.mac = ANY (p_caller_macs)) THEN 'NOT_FOUND'
      WHEN c.status <> 'active' THEN 'DISABLED'
      WHEN c.expires_at <= clock_timestamp() THEN 'EXPIRED'
      WHEN c.cidrs <> '{}' AND NOT coalesce(p_caller_ip <<= ANY (c.cidrs), false) THEN 'FORBIDDEN'
      WHEN NOT gate.permits(c.permissions, p_permission) THEN 'INSUFFICIENT_PERMISSIONS'
      WHEN c.tenant_id IS NULL THEN 'VALID'
      ELSE (SELECT CASE g.status WHEN 'active' THEN 'VALID'
                                 WHEN 'closed' THEN 'TENANT_NOT_FOUND'
                                 ELSE 'TENANT_SUSPENDED' END
              FROM gate.tenant g WHERE g.tenant_id = c.tenant_id)
    END, c.tenant_id
    INTO caller_code, v_caller_tenant
    FROM gate.credential c WHERE c.public_id = p_caller_id;
  IF caller_code IS DISTINCT FROM 'VALID' THEN
    caller_code := coalesce(caller_code, 'NOT_FOUND');
    RETURN;
  END IF;

  LOOP
    SELECT CASE
        WHEN NOT (k.mac = ANY (p_macs)) OR k.tenant_id <> v_caller_tenant OR t.status = 'closed'
          THEN 'NOT_FOUND'
        WHEN k.status <> 'active' THEN 'DISABLED'
        WHEN k.expires_at <= clock_timestamp() THEN 'EXPIRED'
        WHEN t.status <> 'active' THEN 'TENANT_SUSPENDED'
        WHEN k.cidrs <> '{}' AND NOT coalesce(p_ip <<= ANY (k.cidrs), false) THEN 'FORBIDDEN'
        WHEN p_alternatives IS NOT NULL AND NOT gate.permits_any(k.permissions, p_alternatives)
          THEN 'INSUFFICIENT_PERMISSIONS'
        WHEN p_feature IS NOT NULL AND NOT (p_feature = ANY (t.features))
          THEN 'FEATURE_NOT_IN_PLAN'
        ELSE 'VALID'
      END,
      k.key_id, coalesce(k.counts_as, k.key_id), k.tenant_id, k.permissions, t.changes_at,
      gate.now_us(), l.*
      INTO code, key_id, v_counter, tenant_id, permissions, v_changes, now_us,
           key_daily, key_interval, key_depth, tenant_daily, tenant_interval, tenant_depth
      FROM gate.credential k
      JOIN gate.tenant t ON t.tenant_id = k.tenant_id
      CROSS JOIN LATERAL gate.limits_of(k, t) AS l
     WHERE k.public_id = p_public_id;
    EXIT WHEN v_changes > clock_timestamp() OR v_changes IS NULL;
    PERFORM gate.apply_pending(tenant_id);
  END LOOP;
  IF code IS DISTINCT FROM 'VALID' THEN
    IF code IS NULL OR code = 'NOT_FOUND' THEN
      -- Whoever asks learns nothing of a key that is not theirs to ask about.
      code := 'NOT_FOUND';
      key_id := NULL;
      tenant_id := NULL;
      permissions := NULL;
    END IF;
    RETURN;
  END IF;

  IF p_meter IS NULL THEN
    PERFORM set_config('synchronous_commit', 'off', true);
  ELSE
    PERFORM set_config('app.tenant', tenant_id::text, true);
    SELECT q.exceeded, q.used + q.reserved, q.hard_limit,
           ceil(extract(epoch FROM q.window_end - clock_timestamp()))::bigint
      INTO v_exceeded, quota_used, quota_limit, quota_reset
      FROM gate.check_quota(tenant_id, p_meter, p_quantity, NULL) AS q;
    IF v_exceeded THEN
      code := 'QUOTA_EXCEEDED';
      -- A burst refusal comes first in the order of codes: look at the limits without counting.
      SELECT r.used, r.tat INTO key_used, key_tat
        FROM gate.read_counter(v_counter, now_us / 86400000000) AS r;
      SELECT r.used, r.tat INTO tenant_used, tenant_tat
        FROM gate.read_counter(tenant_id, now_us / 86400000000) AS r;
      RETURN;
    END IF;
  END IF;
  n := gate.consume(v_counter, tenant_id, p_cost, now_us,
                    key_daily, key_interval, key_depth,
                    tenant_daily, tenant_interval, tenant_depth);
  key_used := n.key_used;
  key_tat := n.key_tat;
  tenant_used := n.tenant_used;
  tenant_tat := n.tenant_tat;
  code := CASE WHEN n.admitted THEN 'VALID' ELSE 'LIMITED' END;
END $$;
