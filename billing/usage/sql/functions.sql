-- The meaning of a value, in one place for ingest, recount, listing and raw queries.

-- The number that a meter reads: a JSON number, or a string that holds one; NULL for anything else.
-- Three exponent digits bound the size of a value, so that no event can break a sum.
CREATE FUNCTION billing_usage_number(raw jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE jsonb_typeof(raw)
    WHEN 'number' THEN raw::numeric
    WHEN 'string' THEN CASE
      WHEN raw #>> '{}' ~ '^[+-]?([0-9]{1,255}\.?[0-9]{0,255}|\.[0-9]{1,255})([eE][+-]?[0-9]{1,3})?$'
      THEN (raw #>> '{}')::numeric END
  END
$$;

CREATE FUNCTION billing_usage_many_groups(data jsonb, paths text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  v_path text;
  v_groups text[] := '{}';
BEGIN
  FOREACH v_path IN ARRAY paths LOOP
    v_groups := v_groups || coalesce(data #>> v_path::text[], '');
  END LOOP;
  RETURN v_groups;
END $$;

-- The group-by values of an event in the order of the meter's keys; a missing one is ''. No and one
-- key are plain expressions, which the planner inlines; a loop is quicker than a subquery for more.
CREATE FUNCTION billing_usage_groups(data jsonb, paths text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE cardinality(paths)
    WHEN 0 THEN '{}'::text[]
    WHEN 1 THEN ARRAY[coalesce(data #>> paths[1]::text[], '')]
    ELSE billing_usage_many_groups(data, paths) END
$$;
CREATE FUNCTION billing_usage_bucket(at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT date_bin('15 minutes', at, '2000-01-01 00:00:00+00')
$$;

-- The lock under which buckets of one tenant, event type and UTC day change: ingest takes it
-- shared, a recount exclusive.
CREATE FUNCTION billing_usage_lock(tenant uuid, type text, at timestamptz) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT hashtextextended(type, floor(date_part('epoch', at) / 86400)::bigint)
         # uuid_hash_extended(coalesce(tenant, '00000000-0000-0000-0000-000000000000'::uuid), 1)
$$;

-- Why an event does not count for a meter; NULL if it does. `raw` is what stands at the value path.
CREATE FUNCTION billing_usage_fault(aggregation text, path text, data jsonb, raw jsonb)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT 'invalid event: ' || CASE
    WHEN aggregation = 'COUNT' THEN NULL
    WHEN data IS NULL OR jsonb_typeof(data) = 'null' THEN 'null and missing value property'
    WHEN raw IS NULL THEN format('missing value property: "%s"', path)
    WHEN jsonb_typeof(raw) = 'null' THEN 'value cannot be null'
    WHEN aggregation = 'UNIQUE_COUNT' THEN NULL
    WHEN jsonb_typeof(raw) NOT IN ('number', 'string') THEN 'value is not a number'
    WHEN raw #>> '{}' ~* '^[+-]?nan$' THEN 'value cannot be NaN'
    WHEN raw #>> '{}' ~* '^[+-]?inf(inity)?$' THEN 'value cannot be infinity'
    WHEN billing_usage_number(raw) IS NULL THEN 'value is not a number'
  END
$$;
