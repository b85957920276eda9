-- The meter of API requests: its figures are the gate's own record, the number that is limited.
INSERT INTO billing_meter
  (id, scope, slug, name, description, aggregation, event_type, value_path, group_by, group_paths,
   metadata, origin, ready, progress, created_at, updated_at)
VALUES
  (uuidv7(), '00000000-0000-0000-0000-000000000000', 'api_requests', 'API requests',
   'Admitted requests, as the gate counts and limits them.', 'COUNT', 'innkeeper.request',
   '{}', '{}', '{}', '{}', 'gate', true, '{}', now(), now());
