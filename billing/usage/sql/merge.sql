-- How new figures join the kept row of a bucket; used wherever roll-ups are written.
ON CONFLICT (tenant_id, meter_id, bucket, subject, groups_hash, shard) DO UPDATE SET
  count = kept.count + excluded.count,
  total = kept.total + excluded.total,
  lowest = LEAST(kept.lowest, excluded.lowest),
  highest = GREATEST(kept.highest, excluded.highest),
  latest = CASE WHEN (excluded.latest_at, excluded.latest_seq) > (kept.latest_at, kept.latest_seq)
    THEN excluded.latest ELSE kept.latest END,
  latest_at = GREATEST(kept.latest_at, excluded.latest_at),
  latest_seq = CASE WHEN (excluded.latest_at, excluded.latest_seq) > (kept.latest_at, kept.latest_seq)
    THEN excluded.latest_seq ELSE kept.latest_seq END,
  first_at = LEAST(kept.first_at, excluded.first_at)
