-- Days that are over, told once more in few rows: what a month's query reads. docs/adr/0134.
--
-- billing_usage_digested  which days of a tenant's meter have a digest; one without rows is a day
--                         without events
-- billing_usage_digest    a row for each subject and groups of such a day
-- billing_usage_outdated  days that changed since: whoever reads takes the quarter hours instead,
--                         until a worker has made the digest anew. Rows only come and go, nobody
--                         waits for another's.

CREATE TABLE billing_usage_digested (
  tenant_id uuid NOT NULL,
  meter_id uuid NOT NULL,
  day date NOT NULL,
  numbered boolean NOT NULL,
  PRIMARY KEY (tenant_id, meter_id, day)
);

-- count to first_at are of the whole day, as in billing_usage_rollup. Beside them, as far as the
-- meter's aggregation needs it:
--   places   the quarter hours of the day (0 to 95) that have events, in order
--   counts, totals  what was counted and summed up to the end of each of these
--   numbers  the values in millionths, in order; NULL where one does not fit (see `numbered`)
--   hashes   the distinct values, as in billing_usage_value
CREATE TABLE billing_usage_digest (
  tenant_id uuid NOT NULL,
  meter_id uuid NOT NULL,
  day date NOT NULL,
  subject text COLLATE "C" NOT NULL,
  groups_hash uuid NOT NULL,
  groups text[] COLLATE "C" NOT NULL,
  count bigint NOT NULL,
  total numeric,
  lowest numeric,
  highest numeric,
  latest numeric,
  latest_at timestamptz NOT NULL,
  latest_seq bigint NOT NULL,
  first_at timestamptz NOT NULL,
  places smallint[],
  counts bigint[],
  totals numeric[],
  numbers bigint[],
  hashes uuid[],
  PRIMARY KEY (tenant_id, meter_id, day, subject, groups_hash)
);

CREATE TABLE billing_usage_outdated (
  tenant_id uuid NOT NULL,
  meter_id uuid NOT NULL,
  day date NOT NULL
);
CREATE INDEX billing_usage_outdated_day ON billing_usage_outdated (tenant_id, meter_id, day);

-- Note that a day changed, once for each transaction. Whoever changes roll-ups has the day's lock
-- (billing_usage_lock), so no digest is made meanwhile; a note that is there stays until we are over.
CREATE FUNCTION billing_usage_outdate() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_row record := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
  v_day date := (v_row.bucket AT TIME ZONE 'UTC')::date;
BEGIN
  IF NOT EXISTS (SELECT FROM billing_usage_outdated WHERE tenant_id = v_row.tenant_id
                    AND meter_id = v_row.meter_id AND day = v_day) THEN
    INSERT INTO billing_usage_outdated (tenant_id, meter_id, day)
    VALUES (v_row.tenant_id, v_row.meter_id, v_day);
  END IF;
  RETURN v_row;
END $$;

-- What happens now pays for one comparison. A digest is made four hours after its day at the
-- earliest: a clock that is set back by less than two changes nothing.
CREATE TRIGGER outdate_new BEFORE INSERT ON billing_usage_rollup FOR EACH ROW
  WHEN (NEW.bucket < clock_timestamp() - interval '2 hours') EXECUTE FUNCTION billing_usage_outdate();
CREATE TRIGGER outdate_gone BEFORE DELETE ON billing_usage_rollup FOR EACH ROW
  WHEN (OLD.bucket < clock_timestamp() - interval '2 hours') EXECUTE FUNCTION billing_usage_outdate();

-- What the digest of a day must be, by the quarter hours and, for values, by the ledger. `numbers`
-- is NULL where not every value that was counted is there and fits.
CREATE FUNCTION billing_usage_digest_of(p_meter uuid, p_tenant uuid, p_day date)
RETURNS SETOF billing_usage_digest LANGUAGE plpgsql STABLE ROWS 30 AS $$
DECLARE
  v_from timestamptz := p_day::timestamp AT TIME ZONE 'UTC';
  v_to timestamptz := (p_day + 1)::timestamp AT TIME ZONE 'UTC';
  v_meter billing_meter;
BEGIN
  SELECT * INTO v_meter FROM billing_meter WHERE id = p_meter;
  RETURN QUERY
  WITH quarter AS (
    SELECT r.bucket, r.subject, r.groups_hash, r.groups, sum(r.count)::bigint AS count,
           sum(r.total) AS total, min(r.lowest) AS lowest, max(r.highest) AS highest,
           max(ARRAY[extract(epoch FROM r.latest_at), r.latest_seq, r.latest]) AS latest,
           max(r.latest_at) AS latest_at, min(r.first_at) AS first_at
    FROM billing_usage_rollup AS r
    WHERE r.tenant_id = p_tenant AND r.meter_id = p_meter AND r.bucket >= v_from AND r.bucket < v_to
    GROUP BY r.bucket, r.subject, r.groups_hash, r.groups
  ), running AS (
    SELECT quarter.*, (extract(epoch FROM quarter.bucket - v_from) / 900)::smallint AS place,
           (sum(quarter.count) OVER series)::bigint AS counted, sum(quarter.total) OVER series AS summed
    FROM quarter WINDOW series AS (PARTITION BY quarter.subject, quarter.groups_hash ORDER BY quarter.bucket)
  ), series AS (
    SELECT running.subject, running.groups_hash, running.groups, sum(running.count)::bigint AS count,
           sum(running.total) AS total, min(running.lowest) AS lowest, max(running.highest) AS highest,
           max(running.latest) AS latest, max(running.latest_at) AS latest_at,
           min(running.first_at) AS first_at, array_agg(place ORDER BY place) AS places,
           array_agg(counted ORDER BY place) AS counts, array_agg(summed ORDER BY place) AS totals
    FROM running GROUP BY running.subject, running.groups_hash, running.groups
  ), numbered AS (
    SELECT read.subject, read.groups, count(*) AS count,
           bool_and(read.number = trunc(read.number, 6) AND abs(read.number) < 9e12) AS fits,
           array_agg(CASE WHEN abs(read.number) < 9e12 THEN (read.number * 1000000)::bigint END
                     ORDER BY read.number) AS numbers
    FROM billing_usage_measured_widely AS read
    WHERE v_meter.aggregation IN ('MEDIAN', 'P50', 'P90', 'P95', 'P99')
      AND read.meter_id = p_meter AND read.tenant_id = p_tenant AND read.time >= v_from
      AND read.time < v_to AND read.number IS NOT NULL
    GROUP BY read.subject, read.groups
  ), distinguished AS (
    SELECT v.subject, v.groups_hash, array_agg(DISTINCT v.value_hash) AS hashes
    FROM billing_usage_value AS v
    WHERE v.tenant_id = p_tenant AND v.meter_id = p_meter AND v.bucket >= v_from AND v.bucket < v_to
    GROUP BY v.subject, v.groups_hash
  )
  SELECT p_tenant, p_meter, p_day, series.subject, series.groups_hash, series.groups, series.count,
         series.total, series.lowest, series.highest, series.latest[3], series.latest_at,
         series.latest[2]::bigint, series.first_at,
         CASE WHEN v_meter.aggregation IN ('COUNT', 'SUM', 'AVG') THEN series.places END,
         CASE WHEN v_meter.aggregation IN ('COUNT', 'SUM', 'AVG') THEN series.counts END,
         CASE WHEN v_meter.aggregation IN ('SUM', 'AVG') THEN series.totals END,
         CASE WHEN bool_and(coalesce(numbered.fits AND numbered.count = series.count, false)) OVER ()
           THEN numbered.numbers END,
         distinguished.hashes
  FROM series
  LEFT JOIN numbered ON numbered.subject = series.subject AND numbered.groups = series.groups
  LEFT JOIN distinguished ON distinguished.subject = series.subject
   AND distinguished.groups_hash = series.groups_hash;
END $$;

-- Make the digest of one day, which must be over for four hours. False where somebody is writing
-- into the day just now: that is noted, and nobody waits.
CREATE FUNCTION billing_usage_make_digest(p_meter uuid, p_tenant uuid, p_day date) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  v_start timestamptz := p_day::timestamp AT TIME ZONE 'UTC';
  v_type text;
BEGIN
  SELECT event_type INTO v_type FROM billing_meter WHERE id = p_meter;
  IF v_start + interval '28 hours' > clock_timestamp() THEN
    RETURN false;
  END IF;
  IF NOT pg_try_advisory_xact_lock(billing_usage_lock(p_tenant, v_type, v_start)) THEN
    INSERT INTO billing_usage_outdated (tenant_id, meter_id, day)
    SELECT p_tenant, p_meter, p_day WHERE NOT EXISTS (
      SELECT FROM billing_usage_outdated WHERE tenant_id = p_tenant AND meter_id = p_meter AND day = p_day);
    RETURN false;
  END IF;
  -- Each statement from here on sees what was committed before the lock was ours.
  DELETE FROM billing_usage_outdated WHERE tenant_id = p_tenant AND meter_id = p_meter AND day = p_day;
  DELETE FROM billing_usage_digest WHERE tenant_id = p_tenant AND meter_id = p_meter AND day = p_day;
  WITH made AS (
    INSERT INTO billing_usage_digest SELECT * FROM billing_usage_digest_of(p_meter, p_tenant, p_day)
    RETURNING numbers
  )
  INSERT INTO billing_usage_digested (tenant_id, meter_id, day, numbered)
  SELECT p_tenant, p_meter, p_day, coalesce(bool_and(numbers IS NOT NULL), true) FROM made
  ON CONFLICT (tenant_id, meter_id, day) DO UPDATE SET numbered = excluded.numbered;
  RETURN true;
END $$;

-- Days with events that have become over since a meter's newest digest, the oldest first; up to
-- p_limit of them in all. Steps from one to the next in the index.
CREATE FUNCTION billing_usage_undigested(p_limit int)
RETURNS TABLE (meter_id uuid, tenant_id uuid, day date) LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  v_before timestamptz := date_trunc('day', clock_timestamp() - interval '4 hours', 'UTC');
  v_found int := 0;
BEGIN
  meter_id := '00000000-0000-0000-0000-000000000000';
  tenant_id := meter_id;
  LOOP
    SELECT r.tenant_id, r.meter_id INTO tenant_id, meter_id FROM billing_usage_rollup AS r
     WHERE (r.tenant_id, r.meter_id) > (billing_usage_undigested.tenant_id, billing_usage_undigested.meter_id)
     ORDER BY r.tenant_id, r.meter_id LIMIT 1;
    EXIT WHEN NOT FOUND OR v_found >= p_limit;
    CONTINUE WHEN NOT EXISTS (SELECT FROM billing_meter WHERE id = meter_id AND ready
                                 AND deleted_at IS NULL AND aggregation <> 'WEIGHTED_SUM');
    SELECT coalesce(max(made.day) + 1, '-infinity') INTO day FROM billing_usage_digested AS made
     WHERE made.tenant_id = billing_usage_undigested.tenant_id
       AND made.meter_id = billing_usage_undigested.meter_id;
    LOOP
      SELECT (r.bucket AT TIME ZONE 'UTC')::date INTO day FROM billing_usage_rollup AS r
       WHERE r.tenant_id = billing_usage_undigested.tenant_id
         AND r.meter_id = billing_usage_undigested.meter_id
         AND r.bucket >= day::timestamp AT TIME ZONE 'UTC' AND r.bucket < v_before
       ORDER BY r.bucket LIMIT 1;
      EXIT WHEN NOT FOUND OR v_found >= p_limit;
      RETURN NEXT;
      v_found := v_found + 1;
      day := day + 1;
    END LOOP;
  END LOOP;
END $$;

-- The days whose digest holds and that a question may take from it, in order.
--
-- p_whole     only days that lie in [p_from, p_to) whole; otherwise those that it cuts too
-- p_numbered  only days whose values are there
-- p_cuts      days that one of these instants cuts are left out
CREATE FUNCTION billing_usage_digested_days(
  p_meter uuid, p_tenant uuid, p_from timestamptz, p_to timestamptz, p_whole boolean,
  p_numbered boolean, p_cuts timestamptz[]
) RETURNS date[] LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_days date[];
  v_first date := coalesce((p_from AT TIME ZONE 'UTC')::date, '-infinity');
  v_past date := coalesce((p_to AT TIME ZONE 'UTC')::date, 'infinity');
BEGIN
  IF p_whole AND v_first::timestamp AT TIME ZONE 'UTC' < p_from THEN
    v_first := v_first + 1;
  ELSIF NOT p_whole AND v_past::timestamp AT TIME ZONE 'UTC' < p_to THEN
    v_past := v_past + 1;
  END IF;
  SELECT coalesce(array_agg(day ORDER BY day), '{}') INTO v_days FROM billing_usage_digested AS made
   WHERE tenant_id = p_tenant AND meter_id = p_meter AND day >= v_first AND day < v_past
     AND (numbered OR NOT p_numbered)
     AND NOT EXISTS (SELECT FROM billing_usage_outdated AS changed
                      WHERE changed.tenant_id = p_tenant AND changed.meter_id = p_meter
                        AND changed.day = made.day);
  IF p_cuts <> '{}' THEN
    SELECT coalesce(array_agg(day ORDER BY day), '{}') INTO v_days FROM unnest(v_days) AS day
     WHERE NOT EXISTS (SELECT FROM unnest(p_cuts) AS cut
                        WHERE (cut AT TIME ZONE 'UTC')::date = day
                          AND cut AT TIME ZONE 'UTC' <> day::timestamp);
  END IF;
  RETURN v_days;
END $$;

-- What of [p_from, p_to) lies on none of some days, in order; NULL is an open end.
CREATE FUNCTION billing_usage_gaps(p_days date[], p_from timestamptz, p_to timestamptz)
RETURNS TABLE (low timestamptz, high timestamptz) LANGUAGE plpgsql IMMUTABLE ROWS 2 AS $$
DECLARE
  v_day date;
  v_to timestamptz := coalesce(p_to, 'infinity');
BEGIN
  low := coalesce(p_from, '-infinity');
  FOREACH v_day IN ARRAY p_days LOOP
    high := LEAST(v_day::timestamp AT TIME ZONE 'UTC', v_to);
    IF low < high THEN
      RETURN NEXT;
    END IF;
    low := GREATEST(low, (v_day + 1)::timestamp AT TIME ZONE 'UTC');
  END LOOP;
  high := v_to;
  IF low < high THEN
    RETURN NEXT;
  END IF;
END $$;

-- What of [p_from, p_to) lies on some days, cut at some instants; days and instants in order. A piece
-- is [low, high) in quarter hours of its day, `at` where it begins. NULL is an open end.
CREATE FUNCTION billing_usage_pieces(
  p_days date[], p_from timestamptz, p_to timestamptz, p_cuts timestamptz[]
) RETURNS TABLE (day date, at timestamptz, low smallint, high smallint)
LANGUAGE plpgsql IMMUTABLE ROWS 60 AS $$
DECLARE
  v_start timestamptz;
  v_end timestamptz;
  v_until timestamptz;
  v_cut int := 1;
BEGIN
  FOREACH day IN ARRAY p_days LOOP
    v_start := day::timestamp AT TIME ZONE 'UTC';
    v_end := LEAST(v_start + interval '24 hours', p_to);
    at := GREATEST(v_start, p_from);
    WHILE at < v_end LOOP
      WHILE v_cut <= cardinality(p_cuts) AND p_cuts[v_cut] <= at LOOP
        v_cut := v_cut + 1;
      END LOOP;
      v_until := LEAST(v_end, p_cuts[v_cut]);  -- none left: NULL
      low := extract(epoch FROM at - v_start) / 900;
      high := extract(epoch FROM v_until - v_start) / 900;
      RETURN NEXT;
      at := v_until;
    END LOOP;
  END LOOP;
END $$;

-- Events as a meter reads them (billing_usage_measured), planned once. A long range looks up all
-- amendments of the tenant first, a short one those of each event.
CREATE FUNCTION billing_usage_read(p_meter uuid, p_tenant uuid, p_from timestamptz, p_to timestamptz)
RETURNS TABLE (tenant_id uuid, "time" timestamptz, seq bigint, subject text, groups text[], value text,
               number numeric)
LANGUAGE plpgsql STABLE ROWS 10 SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  v_meter billing_meter;
BEGIN
  IF p_to - p_from <= interval '1 hour' THEN
    RETURN QUERY
    SELECT r.tenant_id, r.time, r.seq, r.subject, r.groups, r.value, r.number
      FROM billing_usage_measured AS r
     WHERE r.meter_id = p_meter AND r.tenant_id = p_tenant AND r.time >= p_from AND r.time < p_to
       AND (r.number IS NOT NULL OR r.value IS NOT NULL);
    RETURN;
  END IF;
  SELECT * INTO v_meter FROM billing_meter WHERE id = p_meter;
  RETURN QUERY
  SELECT * FROM (
    SELECT event.tenant_id, event.time, event.seq, event.subject,
           billing_usage_groups(coalesce(amended.data, event.data), v_meter.group_paths),
           CASE v_meter.aggregation WHEN 'UNIQUE_COUNT'
             THEN coalesce(amended.data, event.data) #>> v_meter.value_path END AS value,
           CASE v_meter.aggregation WHEN 'COUNT' THEN 1 WHEN 'UNIQUE_COUNT' THEN NULL
             ELSE billing_usage_number(coalesce(amended.data, event.data) #> v_meter.value_path) END
             AS number
    FROM billing_usage_event AS event
    LEFT JOIN (
      SELECT DISTINCT ON (amendment.event_seq) amendment.event_seq, amendment.kind, amendment.data
        FROM billing_usage_amendment AS amendment WHERE amendment.tenant_id = p_tenant
       ORDER BY amendment.event_seq, amendment.id DESC
    ) AS amended ON amended.event_seq = event.seq
    WHERE event.tenant_id = p_tenant AND event.time >= p_from AND event.time < p_to
      AND event.type = v_meter.event_type
      AND v_meter.scope IN ('00000000-0000-0000-0000-000000000000', p_tenant)
      AND (v_meter.event_from IS NULL OR event.time >= v_meter.event_from)
      AND amended.kind IS DISTINCT FROM 'void'
      AND event.time <= event.ingested_at + interval '5 minutes'
    OFFSET 0
  ) AS r WHERE r.number IS NOT NULL OR r.value IS NOT NULL;
END $$;

-- Where a digest that holds differs from what it was made of.
CREATE FUNCTION billing_usage_digest_differences(p_meter uuid, p_tenant uuid, p_from date, p_to date)
RETURNS TABLE (day date, subject text, groups text[], kept jsonb, recounted jsonb)
LANGUAGE sql STABLE AS $$
  WITH made AS (
    SELECT held.day FROM billing_usage_digested AS held
     WHERE held.tenant_id = p_tenant AND held.meter_id = p_meter
       AND held.day >= p_from AND held.day < p_to
       AND NOT EXISTS (SELECT FROM billing_usage_outdated AS changed WHERE changed.tenant_id = p_tenant
                          AND changed.meter_id = p_meter AND changed.day = held.day)
  ), kept AS (
    SELECT digest.* FROM made JOIN billing_usage_digest AS digest ON digest.tenant_id = p_tenant
       AND digest.meter_id = p_meter AND digest.day = made.day
  ), anew AS (
    SELECT digest.* FROM made, billing_usage_digest_of(p_meter, p_tenant, made.day) AS digest
  )
  SELECT day, subject, groups, to_jsonb(kept) - 'groups', to_jsonb(anew) - 'groups'
    FROM kept FULL JOIN anew USING (day, subject, groups)
   WHERE kept IS DISTINCT FROM anew ORDER BY 1, 2, 3
$$;

GRANT EXECUTE ON FUNCTION billing_usage_outdate, billing_usage_digested_days, billing_usage_gaps,
  billing_usage_pieces, billing_usage_read TO innkeeper_app;
