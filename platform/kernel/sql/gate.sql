-- The gate. Schema owned by the kernel; the app role may EXECUTE and nothing else.
-- Times are microseconds since the epoch (bigint), windows are UTC days, buckets 15 minutes.
-- Semantics and evidence: docs/adr/0081 and 0082. Statements are few and large on purpose: PL/pgSQL
-- prepares each expression anew in every transaction, and every call is one. Sequential scans are
-- off inside: on young tables the planner prefers them and would read every dead counter version.

CREATE SCHEMA gate;
REVOKE ALL ON SCHEMA gate FROM PUBLIC;

CREATE TABLE gate.tenant (
  tenant_id           uuid PRIMARY KEY,
  status              text NOT NULL CHECK (status IN ('active', 'suspended', 'closed')),
  config_version      bigint NOT NULL DEFAULT 1,
  entitlement_version bigint NOT NULL DEFAULT 1,
  features            text[] NOT NULL DEFAULT '{}',
  changes_at          timestamptz,  -- when limits or features change next: gate.pending
  daily_limit         bigint CHECK (daily_limit >= 0),
  burst_interval_us   bigint CHECK (burst_interval_us > 0),
  burst_depth         bigint CHECK (burst_depth > 0),
  CHECK ((burst_interval_us IS NULL) = (burst_depth IS NULL))
);

CREATE TABLE gate.credential (
  public_id         text PRIMARY KEY,
  key_id            uuid NOT NULL UNIQUE,
  lineage           uuid NOT NULL,
  kind              text NOT NULL CHECK (kind IN ('tenant', 'platform')),
  tenant_id         uuid REFERENCES gate.tenant (tenant_id),
  mac               bytea NOT NULL,
  status            text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled', 'revoked')),
  permissions       text[] NOT NULL DEFAULT '{}',
  cidrs             inet[] NOT NULL DEFAULT '{}',
  expires_at        timestamptz,
  daily_inherits    boolean NOT NULL DEFAULT true,
  daily_limit       bigint CHECK (daily_limit >= 0),
  burst_inherits    boolean NOT NULL DEFAULT true,
  burst_interval_us bigint CHECK (burst_interval_us > 0),
  burst_depth       bigint CHECK (burst_depth > 0),
  CHECK ((kind = 'tenant') = (tenant_id IS NOT NULL)),
  CHECK ((burst_interval_us IS NULL) = (burst_depth IS NULL))
);
CREATE INDEX credential_tenant ON gate.credential (tenant_id);

-- One row a subject (key or tenant). No index on a column that changes: every admission is HOT.
CREATE TABLE gate.counter (
  subject     uuid PRIMARY KEY,
  tenant_id   uuid NOT NULL,
  window_id   bigint NOT NULL DEFAULT 0,
  used        bigint NOT NULL DEFAULT 0,
  tat_us      bigint NOT NULL DEFAULT 0,
  bucket_id   bigint NOT NULL DEFAULT 0,
  bucket_used bigint NOT NULL DEFAULT 0,
  last_us     bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Closed 15-minute buckets of admitted requests: with the open bucket of the counter, the record
-- that the limit, the meter `api_requests` and the bill all read.
CREATE TABLE gate.tally (
  tenant_id uuid NOT NULL,
  subject   uuid NOT NULL,
  bucket_id bigint NOT NULL,
  used      bigint NOT NULL,
  PRIMARY KEY (tenant_id, subject, bucket_id)
);

CREATE FUNCTION gate.now_us() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE
  RETURN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

-- Whether grants cover a permission `resource:action`; `*` stands for one whole segment.
CREATE FUNCTION gate.permits(granted text[], wanted text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN wanted = ANY (granted)
      OR split_part(wanted, ':', 1) || ':*' = ANY (granted)
      OR '*:' || split_part(wanted, ':', 2) = ANY (granted)
      OR '*:*' = ANY (granted);

-- Whether one of the alternatives (space-separated permissions, all of which are needed) holds.
CREATE FUNCTION gate.permits_any(granted text[], alternatives text[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  alternative text;
BEGIN
  FOREACH alternative IN ARRAY alternatives LOOP
    IF string_to_array(alternative, ' ') <@ granted THEN
      RETURN true;
    END IF;
    IF (SELECT bool_and(gate.permits(granted, wanted))
          FROM unnest(string_to_array(alternative, ' ')) AS wanted) THEN
      RETURN true;
    END IF;
  END LOOP;
  RETURN false;
END $$;

-- A bucket has ended: keep it. Called with the counter's row locked.
CREATE FUNCTION gate.close_bucket(p_tenant uuid, p_subject uuid, p_bucket bigint, p_used bigint)
RETURNS void LANGUAGE sql VOLATILE AS $$
  INSERT INTO gate.tally AS t (tenant_id, subject, bucket_id, used)
  VALUES (p_tenant, p_subject, p_bucket, p_used)
  ON CONFLICT (tenant_id, subject, bucket_id) DO UPDATE SET used = t.used + EXCLUDED.used
$$;

-- Count `p_cost` requests of a key and its tenant, both or neither. Order key, tenant: no deadlock,
-- and the hottest row is held shortest. A refusal leaves both rows as they were. The answer is raw:
-- uses and theoretical arrival times after the call; kernel.gate.standing turns them into limits.
CREATE FUNCTION gate.consume(
  p_key uuid, p_tenant uuid, p_cost bigint, p_now bigint,
  p_key_daily bigint, p_key_interval bigint, p_key_depth bigint,
  p_tenant_daily bigint, p_tenant_interval bigint, p_tenant_depth bigint,
  OUT admitted boolean, OUT key_used bigint, OUT key_tat bigint,
  OUT tenant_used bigint, OUT tenant_tat bigint
) LANGUAGE plpgsql AS $$
DECLARE
  v_window bigint := p_now / 86400000000;
  v_bucket bigint := p_now / 900000000;
  was_window bigint; was_used bigint; was_tat bigint;
  was_bucket bigint; was_bucket_used bigint; was_last bigint;
  t_bucket bigint; t_bucket_used bigint;
BEGIN
  UPDATE gate.counter c SET
    used        = CASE WHEN c.window_id < v_window THEN 0 ELSE c.used END + p_cost,
    window_id   = greatest(c.window_id, v_window),
    tat_us      = CASE WHEN p_key_interval IS NULL THEN c.tat_us
                       ELSE greatest(c.tat_us, p_now) + p_cost * p_key_interval END,
    bucket_used = CASE WHEN c.bucket_id < v_bucket THEN 0 ELSE c.bucket_used END + p_cost,
    bucket_id   = greatest(c.bucket_id, v_bucket),
    last_us     = greatest(c.last_us, p_now)
  WHERE c.subject = p_key
    AND (p_key_daily IS NULL
         OR CASE WHEN c.window_id < v_window THEN 0 ELSE c.used END + p_cost <= p_key_daily)
    AND (p_key_interval IS NULL
         OR greatest(c.tat_us, p_now) + p_cost * p_key_interval - p_now
            <= p_key_depth * p_key_interval)
  RETURNING new.used, new.tat_us, old.window_id, old.used, old.tat_us,
            old.bucket_id, old.bucket_used, old.last_us
  INTO key_used, key_tat, was_window, was_used, was_tat, was_bucket, was_bucket_used, was_last;
  IF NOT FOUND THEN
    admitted := false;
    SELECT r.used, r.tat INTO key_used, key_tat FROM gate.read_counter(p_key, v_window) AS r;
    SELECT r.used, r.tat INTO tenant_used, tenant_tat FROM gate.read_counter(p_tenant, v_window) AS r;
    RETURN;
  END IF;

  UPDATE gate.counter c SET
    used        = CASE WHEN c.window_id < v_window THEN 0 ELSE c.used END + p_cost,
    window_id   = greatest(c.window_id, v_window),
    tat_us      = CASE WHEN p_tenant_interval IS NULL THEN c.tat_us
                       ELSE greatest(c.tat_us, p_now) + p_cost * p_tenant_interval END,
    bucket_used = CASE WHEN c.bucket_id < v_bucket THEN 0 ELSE c.bucket_used END + p_cost,
    bucket_id   = greatest(c.bucket_id, v_bucket),
    last_us     = greatest(c.last_us, p_now)
  WHERE c.subject = p_tenant
    AND (p_tenant_daily IS NULL
         OR CASE WHEN c.window_id < v_window THEN 0 ELSE c.used END + p_cost <= p_tenant_daily)
    AND (p_tenant_interval IS NULL
         OR greatest(c.tat_us, p_now) + p_cost * p_tenant_interval - p_now
            <= p_tenant_depth * p_tenant_interval)
  RETURNING new.used, new.tat_us, old.bucket_id, old.bucket_used
  INTO tenant_used, tenant_tat, t_bucket, t_bucket_used;
  IF NOT FOUND THEN
    -- The key's row is still locked by this transaction: nobody saw what is taken back.
    UPDATE gate.counter c
       SET used = was_used, window_id = was_window, tat_us = was_tat,
           bucket_id = was_bucket, bucket_used = was_bucket_used, last_us = was_last
     WHERE c.subject = p_key;
    admitted := false;
    SELECT r.used, r.tat INTO key_used, key_tat FROM gate.read_counter(p_key, v_window) AS r;
    SELECT r.used, r.tat INTO tenant_used, tenant_tat FROM gate.read_counter(p_tenant, v_window) AS r;
    RETURN;
  END IF;

  admitted := true;
  IF was_bucket < v_bucket AND was_bucket_used > 0 THEN
    PERFORM gate.close_bucket(p_tenant, p_key, was_bucket, was_bucket_used);
  END IF;
  IF t_bucket < v_bucket AND t_bucket_used > 0 THEN
    PERFORM gate.close_bucket(p_tenant, p_tenant, t_bucket, t_bucket_used);
  END IF;
END $$;

-- A subject's use in the window and its theoretical arrival time, without counting.
CREATE FUNCTION gate.read_counter(p_subject uuid, p_window bigint, OUT used bigint, OUT tat bigint)
LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN c.window_id < p_window THEN 0 ELSE c.used END, c.tat_us
    FROM gate.counter c WHERE c.subject = p_subject
$$;

-- Admit or refuse one request to Innkeeper's own API, and set the tenant for row-level security.
--   p_kind        'platform' where only the operator's keys may pass, else NULL
--   p_named       the tenant that a platform key acts for, or NULL
--   p_cost        requests to count; 0 looks without counting
-- code: VALID, NOT_FOUND, DISABLED, EXPIRED, TENANT_NOT_FOUND, TENANT_SUSPENDED, FORBIDDEN (address),
-- WRONG_KIND, INSUFFICIENT_PERMISSIONS, LIMITED. A platform key counts nothing: its calls are the
-- operator's, not the tenant's use.
CREATE FUNCTION gate.admit(
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
    n := gate.consume(k.key_id, k.tenant_id, p_cost, now_us,
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

-- The limits that bind a key: its own where it has them, else the plan's; its tenant's always, but
-- for the burst of a key whose burst is lifted (docs/adr/0082).
CREATE FUNCTION gate.limits_of(k gate.credential, t gate.tenant)
RETURNS TABLE (
  key_daily bigint, key_interval bigint, key_depth bigint,
  tenant_daily bigint, tenant_interval bigint, tenant_depth bigint
) LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN k.daily_inherits THEN t.daily_limit ELSE k.daily_limit END,
         CASE WHEN k.burst_inherits THEN t.burst_interval_us ELSE k.burst_interval_us END,
         CASE WHEN k.burst_inherits THEN t.burst_depth ELSE k.burst_depth END,
         t.daily_limit,
         CASE WHEN k.burst_inherits OR k.burst_interval_us IS NOT NULL THEN t.burst_interval_us END,
         CASE WHEN k.burst_inherits OR k.burst_interval_us IS NOT NULL THEN t.burst_depth END
$$;

-- Answer a service that was shown a key: who is it, may it, does the plan allow it, how much is
-- left; and count it. Two keys in one call: the caller's (only looked at) and the presented one.
--   p_alternatives  permission sets, one of which must be covered whole; NULL asks for none
--   p_meter         slug of the meter of which `p_quantity` is about to be used: its quotas are
--                   checked under lock (quota.sql), and the caller's transaction records the use
-- caller_code as in gate.admit. code: VALID, NOT_FOUND, DISABLED, EXPIRED, TENANT_SUSPENDED,
-- FORBIDDEN, INSUFFICIENT_PERMISSIONS, FEATURE_NOT_IN_PLAN, LIMITED, QUOTA_EXCEEDED.
CREATE FUNCTION gate.verify(
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
      k.key_id, k.tenant_id, k.permissions, t.changes_at, gate.now_us(), l.*
      INTO code, key_id, tenant_id, permissions, v_changes, now_us,
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
        FROM gate.read_counter(key_id, now_us / 86400000000) AS r;
      SELECT r.used, r.tat INTO tenant_used, tenant_tat
        FROM gate.read_counter(tenant_id, now_us / 86400000000) AS r;
      RETURN;
    END IF;
  END IF;
  n := gate.consume(key_id, tenant_id, p_cost, now_us,
                    key_daily, key_interval, key_depth,
                    tenant_daily, tenant_interval, tenant_depth);
  key_used := n.key_used;
  key_tat := n.key_tat;
  tenant_used := n.tenant_used;
  tenant_tat := n.tenant_tat;
  code := CASE WHEN n.admitted THEN 'VALID' ELSE 'LIMITED' END;
END $$;

-- Refuse to work for another tenant than the connection's, where the app role is asking.
CREATE FUNCTION gate.assert_tenant(p_tenant uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
BEGIN
  IF session_user = 'innkeeper_app'
     AND p_tenant IS DISTINCT FROM NULLIF(current_setting('app.tenant', true), '')::uuid THEN
    RAISE EXCEPTION 'tenant % is not the tenant of this connection', p_tenant
      USING ERRCODE = 'insufficient_privilege';
  END IF;
END $$;

-- Projections: the apps' rows as the gate needs them, written in the transaction of the change.
CREATE FUNCTION gate.put_tenant(p_tenant uuid, p_status text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  INSERT INTO gate.tenant AS t (tenant_id, status) VALUES (p_tenant, p_status)
  ON CONFLICT (tenant_id) DO UPDATE
    SET status = EXCLUDED.status, config_version = t.config_version + 1;
  INSERT INTO gate.counter (subject, tenant_id) VALUES (p_tenant, p_tenant) ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION gate.put_limits(
  p_tenant uuid, p_daily bigint, p_interval bigint, p_depth bigint, p_features text[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  UPDATE gate.tenant
     SET daily_limit = p_daily, burst_interval_us = p_interval, burst_depth = p_depth,
         features = p_features, entitlement_version = entitlement_version + 1
   WHERE tenant_id = p_tenant;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'tenant % has no row in the gate', p_tenant USING ERRCODE = 'no_data_found';
  END IF;
END $$;

CREATE FUNCTION gate.put_credential(
  p_public_id text, p_key uuid, p_lineage uuid, p_kind text, p_tenant uuid, p_mac bytea,
  p_permissions text[], p_cidrs inet[], p_expires timestamptz,
  p_daily_inherits boolean, p_daily bigint,
  p_burst_inherits boolean, p_interval bigint, p_depth bigint
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM gate.assert_tenant(p_tenant);
  INSERT INTO gate.credential
    (public_id, key_id, lineage, kind, tenant_id, mac, permissions, cidrs, expires_at,
     daily_inherits, daily_limit, burst_inherits, burst_interval_us, burst_depth)
  VALUES (p_public_id, p_key, p_lineage, p_kind, p_tenant, p_mac, p_permissions, p_cidrs, p_expires,
          p_daily_inherits, p_daily, p_burst_inherits, p_interval, p_depth);
  IF p_kind = 'tenant' THEN
    INSERT INTO gate.counter (subject, tenant_id) VALUES (p_key, p_tenant);
  END IF;
END $$;

CREATE FUNCTION gate.set_credential_status(p_key uuid, p_status text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v_tenant uuid;
BEGIN
  SELECT c.tenant_id INTO v_tenant FROM gate.credential c WHERE c.key_id = p_key;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM gate.assert_tenant(v_tenant);
  -- A revoked key stays revoked.
  UPDATE gate.credential SET status = p_status WHERE key_id = p_key AND status <> 'revoked';
  RETURN FOUND;
END $$;

-- Admitted requests of the connection's tenant by key and 15-minute bucket, the open ones included;
-- subject = tenant is the total.
CREATE FUNCTION gate.requests(p_from bigint, p_to bigint)
RETURNS TABLE (subject uuid, bucket_id bigint, used bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT t.subject, t.bucket_id, t.used FROM gate.tally t
   WHERE t.tenant_id = NULLIF(current_setting('app.tenant', true), '')::uuid
     AND t.bucket_id >= p_from AND t.bucket_id < p_to
  UNION ALL
  SELECT c.subject, c.bucket_id, c.bucket_used FROM gate.counter c
   WHERE c.tenant_id = NULLIF(current_setting('app.tenant', true), '')::uuid
     AND c.bucket_id >= p_from AND c.bucket_id < p_to AND c.bucket_used > 0
$$;
CREATE INDEX counter_tenant ON gate.counter (tenant_id);

-- When keys were last admitted; platform keys have no counter and no answer.
CREATE FUNCTION gate.last_used(p_keys uuid[]) RETURNS TABLE (key_id uuid, at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT c.subject, to_timestamp(c.last_us / 1000000.0) FROM gate.counter c
   WHERE c.subject = ANY (p_keys) AND c.last_us > 0
     AND (session_user <> 'innkeeper_app'
          OR c.tenant_id = NULLIF(current_setting('app.tenant', true), '')::uuid)
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA gate FROM PUBLIC;
GRANT USAGE ON SCHEMA gate TO innkeeper_app, innkeeper_staff;
GRANT EXECUTE ON FUNCTION
  gate.admit, gate.verify, gate.put_tenant, gate.put_limits, gate.put_credential,
  gate.set_credential_status, gate.requests, gate.last_used, gate.assert_tenant
TO innkeeper_app, innkeeper_staff;
