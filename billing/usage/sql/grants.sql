-- Functions are open to nobody by default (and to staff); these run as the caller, under its policies.
GRANT EXECUTE ON FUNCTION
  billing_usage_number, billing_usage_groups, billing_usage_many_groups,
  billing_usage_bucket, billing_usage_lock,
  billing_usage_fault, billing_usage_window, billing_usage_window_end, billing_usage_ingest,
  billing_usage_ingest_one,
  billing_usage_recounted, billing_usage_recount, billing_usage_amend, billing_usage_amounts
TO innkeeper_app;
REVOKE ALL ON FUNCTION billing_usage_make_month, billing_usage_protect FROM innkeeper_staff;
