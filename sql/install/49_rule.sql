-- Rules: what is done with a prediction where a condition on its row holds.

CREATE FUNCTION mlops.rule_value(expression text, columns jsonb, input jsonb, OUT value text, OUT error boolean)
RETURNS record
AS 'MODULE_PATHNAME', 'mlops_rule_value' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mlops.rule_value(text, jsonb, jsonb) IS
'what an expression in the language of rules gives of one row; columns: the types of its keys; error: something in it had no value';

CREATE FUNCTION mlops.rules_check(program bytea) RETURNS integer
AS 'MODULE_PATHNAME', 'mlops_rules_check' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION mlops.rules_check(bytea) IS
'reads any bytes as a program of rules and runs it on made-up rows; how often its rules fired; for tests of the reader';
REVOKE ALL ON FUNCTION mlops.rules_check(bytea) FROM PUBLIC;

CREATE FUNCTION mlops_create_rules(model text, rules jsonb DEFAULT '[]', note text DEFAULT NULL, checks jsonb DEFAULT NULL) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_create_rules(text, jsonb, text, jsonb) IS
'compiles and keeps rules, a list of {name, when, then, stop}, and checks, a list of {name, check, columns, severity}; the number to promote them by';

CREATE FUNCTION mlops_propose_checks(model text) RETURNS jsonb
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_propose_checks(text) IS
'checks that the training rows of a version suggest, each with its reason: missing, out of range, never seen, of a wrong type, no finite answer; for mlops_create_rules';

CREATE FUNCTION mlops_drop_rules(model text, rules integer) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_drop_rules(text, integer) IS
'drops a rule set that neither serves nor is in the rollback stack';

CREATE VIEW mlops.rule_set WITH (security_barrier) AS
SELECT r.model, r.number, r.rules, r.uses, r.note,
       EXISTS (SELECT 1 FROM mlops_catalog.serving AS s
                WHERE s.model OPERATOR(pg_catalog.=) r.model AND r.number IN (s.rules, s.canary_rules)) AS serves,
       r.created_by, r.created_at, r.sha256, r.checks
  FROM mlops_catalog.rule_set AS r
 WHERE mlops.may(r.model, 'read');
COMMENT ON VIEW mlops.rule_set IS 'rules on top of predictions, and checks, as they were written; serves: with the active version or the canary now';

CREATE FUNCTION mlops.program_checks(program bytea,
       OUT "position" integer, OUT name text, OUT kind text, OUT severity text, OUT column_name text, OUT low float8, OUT high float8)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mlops_program_checks' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 20;
COMMENT ON FUNCTION mlops.program_checks(bytea) IS
'the checks in a program of rules, a row for each column that they name; column_name NULL: all that the kind fits, or what the version answers; position: their bit in checks_failed, from 0';

CREATE VIEW mlops.serving_check WITH (security_barrier) AS
SELECT s.model, b.role, b.version, b.rules, c."position", c.name, c.kind, c.severity, c.column_name, c.low, c.high
  FROM mlops_catalog.serving AS s
 CROSS JOIN LATERAL (VALUES ('active', s.version, s.rules), ('canary', s.canary_version, s.canary_rules)) AS b(role, version, rules)
  JOIN mlops_catalog.rule_set AS r ON r.model OPERATOR(pg_catalog.=) s.model AND r.number OPERATOR(pg_catalog.=) b.rules
 CROSS JOIN LATERAL mlops.program_checks(r.program) AS c
 WHERE b.version IS NOT NULL AND mlops.may(s.model, 'read');
COMMENT ON VIEW mlops.serving_check IS 'the checks that serve now, with the active version and with the canary, a row for each column; those of severity drift are bounds of shares of rows over a period';

CREATE FUNCTION mlops_check_rules(model text, rules jsonb, source text, checks jsonb DEFAULT NULL,
       OUT rule text, OUT rows bigint, OUT fired bigint, OUT errors bigint, OUT mean_before float8, OUT mean_after float8,
       OUT suppressed bigint, OUT labels_changed bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mlops_check_rules' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_check_rules(text, jsonb, text, jsonb) IS
'what rules and checks would change on the rows of a query, without keeping or serving them: a line for each, over the rows that it fires on or that fail it, and one for all';

CREATE FUNCTION mlops_check_rules(model text, rules integer, source text,
       OUT rule text, OUT rows bigint, OUT fired bigint, OUT errors bigint, OUT mean_before float8, OUT mean_after float8,
       OUT suppressed bigint, OUT labels_changed bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mlops_check_rules_number' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_check_rules(text, integer, text) IS
'the same of a rule set that was made';

CREATE FUNCTION mlops_check_rules(model text, rules text, source text, checks jsonb DEFAULT NULL,
       OUT rule text, OUT rows bigint, OUT fired bigint, OUT errors bigint, OUT mean_before float8, OUT mean_after float8,
       OUT suppressed bigint, OUT labels_changed bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mlops_check_rules_text' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_check_rules(text, text, text, jsonb) IS
'the same of rules as text';
