-- Rules: what is done with a prediction where a condition on its row holds.

CREATE FUNCTION mlops.rule_value(expression text, columns jsonb, input jsonb, OUT value text, OUT error boolean)
RETURNS record
AS 'MODULE_PATHNAME', 'mlops_rule_value' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mlops.rule_value(text, jsonb, jsonb) IS
'what an expression in the language of rules gives of one row; columns: the types of its keys; error: something in it had no value';
