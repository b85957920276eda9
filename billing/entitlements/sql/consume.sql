-- Consuming metered entitlements: many calls in one transaction, each with its own answer.

-- The data of a usage event that says a quantity at the path of a meter's value.
CREATE FUNCTION billing_use_data(p_path text[], p_quantity numeric) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  v_data jsonb := to_jsonb(p_quantity::text);
BEGIN
  IF cardinality(p_path) = 0 THEN
    RETURN '{}';
  END IF;
  FOR i IN REVERSE cardinality(p_path) .. 1 LOOP
    v_data := jsonb_build_object(p_path[i], v_data);
  END LOOP;
  RETURN v_data;
END $$;

-- Consume: for each place the first that applies of
--   running    another call with the idempotency key is under way
--   replayed   the key was answered before: fingerprint, status, body
--   meterless  no event feeds the meter
--   single     the meter counts events, and the quantity is not 1
--   unopened   no quota stands there: the caller opens it and asks again, with p_open true if then
--              there is none nothing is exceeded
--   exceeded   it does not fit; nothing is used
--   taken      used, and written as the usage event p_id of p_source
-- with how the tightest quota stands afterwards. Rows of the outcome `recent` tell besides what was
-- used since p_since of the meter of a place, these uses included.
-- The caller writes the replies in the same transaction; what it answers is committed then.
CREATE FUNCTION billing_consume(
  p_tenant uuid[], p_feature text[], p_meter text[], p_quantity numeric[], p_id text[],
  p_subject text[], p_owner uuid[], p_lock bigint[], p_scope bytea[], p_hours int, p_source text,
  p_since timestamptz, p_open boolean
) RETURNS TABLE (
  place int, outcome text, fingerprint bytea, status smallint, body bytea, feature_key text,
  window_start timestamptz, window_end timestamptz, used numeric, reserved numeric,
  hard_limit numeric, recent numeric
) LANGUAGE plpgsql AS $$
DECLARE
  c_operator CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
  v_open int[] := ARRAY(SELECT generate_series(1, cardinality(p_tenant)));
  v_told int[] := '{}';
  v_taken int[] := '{}';
  v_times timestamptz[] := '{}';
  v_types text[];
  v_data jsonb[];
  r record;
BEGIN
  FOR r IN SELECT k.* FROM kernel_replies(p_owner, p_lock, p_scope, p_hours) AS k LOOP
    place := r.place;
    outcome := CASE WHEN r.running THEN 'running' ELSE 'replayed' END;
    fingerprint := r.fingerprint;
    status := r.status;
    body := r.body;
    v_told := v_told || place;
    RETURN NEXT;
  END LOOP;
  fingerprint := NULL;
  status := NULL;
  body := NULL;
  SELECT array_agg(m.event_type ORDER BY u.place),
         array_agg(CASE WHEN m.aggregation = 'COUNT' AND u.quantity <> 1 THEN NULL
                        WHEN cardinality(m.value_path) = 1
                        THEN jsonb_build_object(m.value_path[1], u.quantity::text)
                        ELSE billing_use_data(m.value_path, u.quantity) END ORDER BY u.place)
    INTO v_types, v_data
    FROM unnest(p_meter, p_quantity) WITH ORDINALITY AS u (slug, quantity, place)
    LEFT JOIN billing_meter m ON m.scope = c_operator AND m.slug = u.slug
                             AND m.deleted_at IS NULL AND m.origin = 'events';
  IF array_position(v_types, NULL) IS NOT NULL OR array_position(v_data, NULL) IS NOT NULL THEN
    FOREACH place IN ARRAY v_open LOOP
      CONTINUE WHEN place = ANY (v_told) OR v_data[place] IS NOT NULL AND v_types[place] IS NOT NULL;
      outcome := CASE WHEN v_types[place] IS NULL THEN 'meterless' ELSE 'single' END;
      v_told := v_told || place;
      RETURN NEXT;
    END LOOP;
  END IF;
  IF cardinality(v_told) > 0 THEN
    v_open := ARRAY(SELECT o FROM unnest(v_open) AS o WHERE NOT o = ANY (v_told) ORDER BY o);
  END IF;
  IF cardinality(v_open) = 0 THEN
    RETURN;
  END IF;
  FOR r IN
    SELECT q.* FROM (
      SELECT array_agg(p_tenant[o] ORDER BY o) AS tenants, array_agg(p_meter[o] ORDER BY o) AS meters,
             array_agg(p_feature[o] ORDER BY o) AS features,
             array_agg(p_quantity[o] ORDER BY o) AS quantities
        FROM unnest(v_open) AS o) AS u
      CROSS JOIN LATERAL gate.use_quotas(u.tenants, u.meters, u.features, u.quantities) AS q
  LOOP
    place := v_open[r.place];
    outcome := CASE WHEN r.fits THEN 'taken' WHEN r.feature_key IS NOT NULL THEN 'exceeded'
                    WHEN p_open THEN 'taken' ELSE 'unopened' END;
    feature_key := r.feature_key;
    window_start := r.window_start;
    window_end := r.window_end;
    used := r.used;
    reserved := r.reserved;
    hard_limit := r.hard_limit;
    IF outcome = 'taken' THEN
      v_taken := v_taken || place;
      v_times := v_times || r.at;
    END IF;
    RETURN NEXT;
  END LOOP;
  IF cardinality(v_taken) = 0 THEN
    RETURN;
  END IF;
  IF cardinality(v_taken) = 1 THEN
    place := v_taken[1];
    PERFORM billing_usage_ingest_one(
      p_tenant[place], p_tenant[place], NULL, p_id[place], p_source, v_types[place],
      p_subject[place], v_times[1], v_data[place], NULL, NULL);
  ELSE
    PERFORM billing_usage_take(t.tenants, t.tenants, t.nulls, t.ids, array_fill(p_source, t.many),
                               t.types, t.subjects, v_times, t.data, NULL, NULL)
       FROM (SELECT array_agg(p_tenant[u.place] ORDER BY u.nth) AS tenants,
                    array_agg(NULL::uuid) AS nulls, array_agg(p_id[u.place] ORDER BY u.nth) AS ids,
                    array_agg(p_subject[u.place] ORDER BY u.nth) AS subjects,
                    array_agg(v_types[u.place] ORDER BY u.nth) AS types,
                    array_agg(v_data[u.place] ORDER BY u.nth) AS data,
                    ARRAY[count(*)::int] AS many
               FROM unnest(v_taken) WITH ORDINALITY AS u (place, nth)) AS t;
  END IF;
  feature_key := NULL;
  window_start := NULL;
  window_end := NULL;
  used := NULL;
  reserved := NULL;
  hard_limit := NULL;
  outcome := 'recent';
  FOR place, recent IN
    SELECT min(u.place), (
             SELECT sum(CASE m.aggregation WHEN 'COUNT' THEN k.count ELSE coalesce(k.total, 0) END)
               FROM billing_meter m JOIN billing_usage_rollup k ON k.meter_id = m.id
              WHERE m.scope = c_operator AND m.slug = p_meter[min(u.place)] AND m.deleted_at IS NULL
                AND k.tenant_id = p_tenant[min(u.place)] AND k.bucket >= p_since)
      FROM unnest(v_taken) AS u (place)
     GROUP BY p_tenant[u.place], p_meter[u.place]
  LOOP
    RETURN NEXT;
  END LOOP;
END $$;

GRANT EXECUTE ON FUNCTION billing_use_data, billing_consume TO innkeeper_app, innkeeper_staff;
