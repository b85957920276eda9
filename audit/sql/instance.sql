-- The name of this instance in every leaf and every log's origin (docs/adr/0144). It is written once,
-- when the schema is made, and does not follow the address under which the instance is reached.
CREATE TABLE audit_instance (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  origin text NOT NULL CHECK (origin <> '')
);
CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE ON audit_instance
  FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON audit_instance
  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_instance ENABLE ALWAYS TRIGGER audit_refuse_change;
ALTER TABLE audit_instance ENABLE ALWAYS TRIGGER audit_refuse_truncate;
