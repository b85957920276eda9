-- Failed authentications of a client network, as a GCRA with one row a network (docs/adr/0091).
-- Nothing reads this on the way of a valid key.
CREATE TABLE gate.failure (
  network cidr PRIMARY KEY,
  tat_us  bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Count a failure: 0 where it is within `p_depth` at once and one each `p_interval` microseconds,
-- else the microseconds until the next one would be. What is over the limit is not counted.
CREATE FUNCTION gate.count_failure(p_network cidr, p_interval bigint, p_depth bigint)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v_now bigint := gate.now_us();
  v_wait bigint;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  INSERT INTO gate.failure AS f (network, tat_us) VALUES (p_network, v_now + p_interval)
  ON CONFLICT (network) DO UPDATE SET tat_us = greatest(f.tat_us, v_now) + p_interval
   WHERE greatest(f.tat_us, v_now) + p_interval - v_now <= p_depth * p_interval;
  IF FOUND THEN
    RETURN 0;
  END IF;
  SELECT greatest(f.tat_us - (p_depth - 1) * p_interval - v_now, 1) INTO v_wait
    FROM gate.failure f WHERE f.network = p_network;
  RETURN coalesce(v_wait, 1);
END $$;

-- Delete the rows that limit nobody any more; give their number.
CREATE FUNCTION gate.forget_failures() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  WITH gone AS (DELETE FROM gate.failure WHERE tat_us < gate.now_us() RETURNING 1)
  SELECT count(*) FROM gone
$$;

REVOKE ALL ON FUNCTION gate.count_failure, gate.forget_failures FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gate.count_failure TO innkeeper_app, innkeeper_staff;
GRANT EXECUTE ON FUNCTION gate.forget_failures TO innkeeper_staff;
