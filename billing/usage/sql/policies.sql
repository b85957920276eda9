-- A meter of the operator is seen by every tenant and changed by none.
ALTER TABLE billing_meter ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing_meter FORCE ROW LEVEL SECURITY;
CREATE POLICY base ON billing_meter TO innkeeper_app USING (true) WITH CHECK (true);
CREATE POLICY tenant_read ON billing_meter AS RESTRICTIVE FOR SELECT TO innkeeper_app
  USING (scope IN ('00000000-0000-0000-0000-000000000000',
                   (SELECT NULLIF(current_setting('app.tenant', true), '')::uuid)));
CREATE POLICY tenant_insert ON billing_meter AS RESTRICTIVE FOR INSERT TO innkeeper_app
  WITH CHECK (scope = (SELECT NULLIF(current_setting('app.tenant', true), '')::uuid));
CREATE POLICY tenant_update ON billing_meter AS RESTRICTIVE FOR UPDATE TO innkeeper_app
  USING (scope = (SELECT NULLIF(current_setting('app.tenant', true), '')::uuid))
  WITH CHECK (scope = (SELECT NULLIF(current_setting('app.tenant', true), '')::uuid));
CREATE POLICY staff_all ON billing_meter TO innkeeper_staff USING (true) WITH CHECK (true);
CREATE POLICY owner_all ON billing_meter TO innkeeper_owner USING (true) WITH CHECK (true);
REVOKE ALL ON billing_meter FROM innkeeper_app;
GRANT SELECT, INSERT, UPDATE ON billing_meter TO innkeeper_app;
