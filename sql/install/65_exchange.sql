-- Models out of and into other systems.

CREATE FUNCTION mlops_export(model text, format text DEFAULT 'json') RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION mlops_export(text, text) IS
'a version as text: json (all of it, for mlops_import), sql (an expression that scores without the extension), xgboost, pmml';

CREATE FUNCTION mlops_import(model text, document text, format text DEFAULT NULL, options jsonb DEFAULT '{}',
                             note text DEFAULT NULL) RETURNS integer
    AS 'MODULE_PATHNAME', 'mlops_import_text' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_import(text, text, text, jsonb, text) IS
'a new version from a document: what mlops_export wrote as json, a JSON model of XGBoost, or coefficients by name';

CREATE FUNCTION mlops_import(model text, document jsonb, format text DEFAULT NULL, options jsonb DEFAULT '{}',
                             note text DEFAULT NULL) RETURNS integer
    AS 'MODULE_PATHNAME', 'mlops_import' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_import(text, jsonb, text, jsonb, text) IS
'a new version from a document: what mlops_export wrote as json, a JSON model of XGBoost, or coefficients by name';
