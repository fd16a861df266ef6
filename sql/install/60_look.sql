-- Looking at versions: coefficients, importance, model card, checks.

CREATE FUNCTION mlops_coefficients(model text,
       OUT term text, OUT feature text, OUT estimate float8, OUT std_error float8,
       OUT statistic float8, OUT p_value float8, OUT odds_ratio float8, OUT output text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION mlops_coefficients(text) IS
'coefficients of a model in the units of the data, the intercept first; NULL estimate: dropped because other columns determine it';

CREATE FUNCTION mlops_importance(model text,
       OUT feature text, OUT importance float8, OUT share float8)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION mlops_importance(text) IS
'features by the size of their effect: what a difference of one standard deviation changes, and the share of the sum';

CREATE FUNCTION mlops_permutation_importance(model text, source text, target text DEFAULT NULL, metric text DEFAULT NULL,
       repeats int DEFAULT 5, seed bigint DEFAULT 42,
       OUT feature text, OUT importance float8, OUT deviation float8)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_permutation_importance(text, text, text, text, int, bigint) IS
'how much worse a metric becomes on a table or query when the values of a feature are dealt to other rows; reads it as the caller';

CREATE FUNCTION mlops_trees(model text,
       OUT tree int, OUT node int, OUT depth int, OUT output text, OUT feature text, OUT condition text,
       OUT left_node int, OUT right_node int, OUT value float8, OUT cover float8, OUT gain float8)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 5000;
COMMENT ON FUNCTION mlops_trees(text) IS
'the nodes of trees: rows that meet the condition go left; a leaf has the value that it adds to the score of its output';

-- ---- the bytes ----

CREATE FUNCTION mlops.artifact_check(artifact bytea) RETURNS text
AS 'MODULE_PATHNAME', 'mlops_artifact_check' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION mlops.artifact_check(bytea) IS
'reads bytes as an artifact and says what it holds; ML004 if it is none';
REVOKE ALL ON FUNCTION mlops.artifact_check(bytea) FROM PUBLIC;

CREATE FUNCTION mlops.artifact_verify(model text) RETURNS void
AS 'MODULE_PATHNAME', 'mlops_artifact_verify' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION mlops.artifact_verify(text) IS
'loads a version from its stored bytes, past the cache; ML004 if parts, checksum or format are wrong';

CREATE FUNCTION mlops_verify(OUT model text, OUT version int, OUT ok boolean, OUT problem text)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    stored record;
    found text;
BEGIN
    FOR stored IN SELECT m.model AS name, m.owner FROM mlops.model AS m
                   WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles AS r WHERE r.rolname = m.owner)
                   ORDER BY m.model COLLATE "C"
    LOOP
        mlops_verify.model := stored.name;
        mlops_verify.version := NULL;
        mlops_verify.ok := false;
        mlops_verify.problem := pg_catalog.format('its owner, role "%s", does not exist', stored.owner);
        RETURN NEXT;
    END LOOP;
    FOR stored IN SELECT v.model, v.version FROM mlops.version AS v
                   ORDER BY v.model COLLATE "C", v.version
    LOOP
        mlops_verify.model := stored.model;
        mlops_verify.version := stored.version;
        -- a subtransaction: one that fails does not stop the others
        BEGIN
            PERFORM mlops.artifact_verify(pg_catalog.format('%s/%s', stored.model, stored.version));
            mlops_verify.problem := NULL;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS found = PG_EXCEPTION_DETAIL;
            mlops_verify.problem := pg_catalog.concat_ws(': ', SQLERRM, NULLIF(found, ''));
        END;
        mlops_verify.ok := mlops_verify.problem IS NULL;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mlops_verify() IS
'loads every stored artifact that the caller may read: parts, checksum, format; and models whose owner is gone';

-- ---- the model card ----

CREATE FUNCTION mlops.version_card(model text, OUT version jsonb, OUT recipe jsonb)
AS 'MODULE_PATHNAME', 'mlops_version_card' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION mlops.version_card(text) IS
'the row of a version and what a model card says of its recipe';

CREATE FUNCTION mlops.card_number(value float8) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN value IN ('NaN', 'Infinity', '-Infinity') THEN value::text
                WHEN pg_catalog.abs(value) < 1e-14 THEN '0'
                WHEN pg_catalog.abs(value) BETWEEN 0.001 AND 1e15
                THEN pg_catalog.trim_scale(pg_catalog.round(value::numeric, 4))::text
                ELSE pg_catalog.regexp_replace(pg_catalog.btrim(pg_catalog.to_char(value, '9.999EEEE')), '\.?0*e', 'e') END
$$;
COMMENT ON FUNCTION mlops.card_number(float8) IS 'a number as model cards show it';

-- the start of a line with 95 characters at most, words kept whole; what follows is indented
CREATE FUNCTION mlops.card_lines(line text) RETURNS SETOF text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN part.n > 1 THEN '  ' ELSE '' END || part.words[1]
      FROM pg_catalog.regexp_matches(line, '(\S.{0,94}(?=\s|$)|\S+)\s*', 'g') WITH ORDINALITY AS part (words, n)
     ORDER BY part.n
$$;
COMMENT ON FUNCTION mlops.card_lines(text) IS 'a long line of a model card as several';

CREATE FUNCTION mlops.card_pairs(pairs jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_catalog.string_agg(p.key || ' ' ||
               CASE pg_catalog.jsonb_typeof(p.value)
                    WHEN 'number' THEN mlops.card_number(p.value::float8)
                    WHEN 'string' THEN p.value #>> '{}'
                    ELSE p.value::text END, ', ' ORDER BY p.key COLLATE "C")
      FROM pg_catalog.jsonb_each(CASE WHEN pg_catalog.jsonb_typeof(pairs) = 'object'
                                      THEN pairs ELSE '{}' END) AS p
     WHERE pg_catalog.jsonb_typeof(p.value) <> 'null'
$$;
COMMENT ON FUNCTION mlops.card_pairs(jsonb) IS 'the pairs of an object as model cards show them';

CREATE FUNCTION mlops.card_metrics(version jsonb, metric text) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT k.key || ' ' || pg_catalog.concat_ws(', ',
           mlops.card_number((version #>> ARRAY['holdout_metrics', k.key])::float8) || ' held out',
           mlops.card_number((version #>> ARRAY['training_metrics', k.key])::float8) || ' in training',
           mlops.card_number((version #>> ARRAY['baseline_metrics', k.key])::float8) || ' by the baseline')
      FROM pg_catalog.jsonb_each(version -> 'training_metrics') AS k
     WHERE pg_catalog.jsonb_typeof(k.value) = 'number'
     ORDER BY k.key = metric DESC NULLS LAST, k.key COLLATE "C"
$$;
COMMENT ON FUNCTION mlops.card_metrics(jsonb, text) IS
'one line a metric: held out, in training, by the baseline; the model''s own metric first';

-- the largest features, with their largest coefficients where there are any; a strict function of NULL has no rows
CREATE FUNCTION mlops.card_effects(model text, recipe jsonb) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_catalog.format('%s %s%%', i.feature, pg_catalog.round((100 * i.share)::numeric)) ||
           COALESCE(': ' || pg_catalog.string_agg(c.term || ' ' || mlops.card_number(c.estimate) ||
                                                  COALESCE(' (' || CASE WHEN recipe ->> 'kind' = 'centres' THEN 'cluster ' ELSE '' END ||
                                                           c.output || ')', ''), ', '
                                                  ORDER BY pg_catalog.abs(c.estimate) DESC, c.term COLLATE "C", c.output COLLATE "C"), '')
      FROM (SELECT r.*, pg_catalog.row_number() OVER () AS place
              FROM mlops_importance(CASE WHEN (recipe ->> 'has_importance')::boolean THEN model END) AS r) AS i
      LEFT JOIN LATERAL (SELECT t.term, t.estimate, t.output
                      FROM mlops_coefficients(CASE WHEN (recipe ->> 'has_coefficients')::boolean THEN model END) AS t
                     WHERE t.feature = i.feature AND t.estimate IS NOT NULL
                     ORDER BY pg_catalog.abs(t.estimate) DESC, t.term COLLATE "C", t.output COLLATE "C" LIMIT 3) AS c ON true
     WHERE i.importance > 0 AND i.place <= 10
     GROUP BY i.place, i.feature, i.share
     ORDER BY i.place
$$;
COMMENT ON FUNCTION mlops.card_effects(text, jsonb) IS
'the ten most important features, their share and their largest coefficients, by class, cluster or component';

-- how the rows were divided; a moment, which is kept as microseconds since 1970, in words
CREATE FUNCTION mlops.card_split(version jsonb) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET DateStyle = 'ISO'
AS $$
    SELECT mlops.card_pairs((version -> 'split') || COALESCE((
               SELECT pg_catalog.jsonb_build_object('from',
                      CASE c ->> 'type' WHEN 'date' THEN m.moment::date::text
                           WHEN 'timestamp without time zone' THEN m.moment::text
                           ELSE (m.moment AT TIME ZONE 'UTC')::text END)
                 FROM pg_catalog.jsonb_array_elements(version -> 'columns') AS c
                CROSS JOIN LATERAL (
                    SELECT CASE WHEN pg_catalog.jsonb_typeof(version #> '{split,from}') = 'number'
                                THEN timestamp '1970-01-01' + (version #>> '{split,from}')::float8 * interval '1 microsecond' END) AS m (moment)
                WHERE c ->> 'name' = version #>> '{spec,time_column}' AND version #>> '{split,by}' = 'time'
                  AND (c ->> 'type' = 'date' OR c ->> 'type' LIKE 'timestamp%') LIMIT 1), '{}'))
$$;
COMMENT ON FUNCTION mlops.card_split(jsonb) IS 'how rows were divided into training part and hold-out';

CREATE FUNCTION mlops.card_columns(columns jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_catalog.string_agg(CASE WHEN c.n <= 100 THEN (c.feature ->> 'name') || ' ' || (c.feature ->> 'type')
                                      ELSE pg_catalog.format('and %s more', c.features - 100) END, ', ' ORDER BY c.n)
      FROM (SELECT f.feature, pg_catalog.row_number() OVER (ORDER BY f.place) AS n, pg_catalog.count(*) OVER () AS features
              FROM pg_catalog.jsonb_array_elements(columns) WITH ORDINALITY AS f (feature, place)
             WHERE f.feature ->> 'role' = 'feature') AS c
     WHERE c.n <= 101
$$;
COMMENT ON FUNCTION mlops.card_columns(jsonb) IS 'the columns that a row to be scored needs, with their types; a hundred at most';

-- a threshold given to mlops_promote holds for what serves; the pinned version keeps its own
CREATE FUNCTION mlops.card_threshold(version jsonb) RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN s.serving = o.own THEN o.own || ' on'
                ELSE pg_catalog.format('%s on (%s as %s/%s)', s.serving, o.own, version ->> 'model', version ->> 'version') END
      FROM (SELECT COALESCE(mlops.card_number((version ->> 'threshold')::float8), '0.5')) AS o (own)
      CROSS JOIN LATERAL (
        SELECT COALESCE((SELECT mlops.card_number(a.threshold) FROM mlops.serving AS a
                          WHERE a.model = card_threshold.version ->> 'model'
                            AND a.version = (card_threshold.version ->> 'version')::int), o.own)) AS s (serving)
$$;
COMMENT ON FUNCTION mlops.card_threshold(jsonb) IS 'the probability from which a row counts as positive';

-- what scoring makes of a missing value, and of one that training never saw
CREATE FUNCTION mlops.card_missing(recipe jsonb) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT line
      FROM (VALUES
        (1, CASE WHEN recipe ->> 'impute' = 'drop' THEN 'a row with a missing value scores NULL'
                 WHEN recipe ->> 'kind' = 'trees' AND (recipe ->> 'number_features')::int > 0
                 THEN 'a number goes the way that each split learned for missing ones'
                 WHEN recipe ->> 'kind' = 'bayes' AND (recipe ->> 'number_features')::int > 0
                 THEN 'a number is left out: it tells nothing'
                 WHEN recipe ->> 'imported' = 'coefficients' AND (recipe ->> 'number_features')::int > 0
                 THEN 'a number counts as 0, or as the document said'
                 WHEN (recipe ->> 'number_features')::int > 0
                 THEN pg_catalog.format('a number counts as its %s in training%s', recipe ->> 'impute',
                      CASE WHEN (recipe ->> 'missing_indicator')::boolean
                           THEN ', and a column says that it was missing' ELSE '' END) END),
        (2, CASE WHEN recipe ->> 'impute' <> 'drop' AND pg_catalog.jsonb_array_length(recipe -> 'with_null') > 0
                 THEN 'NULL is a level of its own in ' ||
                      (SELECT pg_catalog.string_agg(c, ', ') FROM pg_catalog.jsonb_array_elements_text(recipe -> 'with_null') AS c) END),
        (3, CASE WHEN pg_catalog.jsonb_array_length(recipe -> 'pooled') > 0
                 THEN 'an unseen value counts as a rare one in ' ||
                      (SELECT pg_catalog.string_agg(c, ', ') FROM pg_catalog.jsonb_array_elements_text(recipe -> 'pooled') AS c) END),
        (4, CASE WHEN recipe ->> 'kind' IN ('trees', 'bayes') THEN NULL
                 WHEN (recipe ->> 'category_features')::int > 0
                   AND NOT (recipe ->> 'imported' = 'coefficients' AND recipe ->> 'category_features' =
                            pg_catalog.jsonb_array_length(recipe -> 'pooled')::text)
                 THEN 'a category that training never saw counts as the average of the training rows' ||
                      CASE WHEN pg_catalog.jsonb_array_length(recipe -> 'pooled') > 0 THEN ' elsewhere' ELSE '' END END)
      ) AS l (n, line)
     WHERE line IS NOT NULL
     ORDER BY n
$$;
COMMENT ON FUNCTION mlops.card_missing(jsonb) IS 'what happens to missing and unseen values';

CREATE FUNCTION mlops.card_status(model text, version int) RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT COALESCE(pg_catalog.string_agg(s.status, ', ' ORDER BY s.place, s.status COLLATE "C"), 'not serving')
      FROM (SELECT 1, 'active' FROM mlops.serving AS a
             WHERE a.model = card_status.model AND a.version = card_status.version
             UNION ALL
            SELECT 2, pg_catalog.format('canary of %s %% of the rows', mlops.card_number(a.canary_share * 100)) FROM mlops.serving AS a
             WHERE a.model = card_status.model AND a.canary_version = card_status.version
             UNION ALL
            SELECT 3, 'alias ' || a.alias FROM mlops.alias AS a
             WHERE a.model = card_status.model AND a.version = card_status.version) AS s (place, status)
$$;
COMMENT ON FUNCTION mlops.card_status(text, int) IS 'what a version serves as';

CREATE FUNCTION mlops.card_names(n text, things jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_catalog.format('%s %s%s (%s)', pg_catalog.count(*), n, CASE WHEN pg_catalog.count(*) > 1 THEN 's' END,
                             pg_catalog.string_agg(t.thing ->> 'name', ', ' ORDER BY t.place))
      FROM pg_catalog.jsonb_array_elements(CASE pg_catalog.jsonb_typeof(things) WHEN 'array' THEN things ELSE '[]' END) WITH ORDINALITY AS t (thing, place)
    HAVING pg_catalog.count(*) > 0
$$;
COMMENT ON FUNCTION mlops.card_names(text, jsonb) IS 'how many things of a kind there are, and their names';

CREATE FUNCTION mlops.card_rules(model text, version int) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_catalog.format('rule set %s%s: ', s.rules, CASE s.place WHEN 2 THEN ' as canary' END) ||
           pg_catalog.concat_ws(', ', mlops.card_names('rule', CASE pg_catalog.jsonb_typeof(r.rules) WHEN 'object' THEN r.rules -> 'rules' ELSE r.rules END),
                                mlops.card_names('check', r.checks))
      FROM (SELECT 1, a.model, a.rules FROM mlops.serving AS a
             WHERE a.model = card_rules.model AND a.version = card_rules.version
             UNION ALL
            SELECT 2, a.model, a.canary_rules FROM mlops.serving AS a
             WHERE a.model = card_rules.model AND a.canary_version = card_rules.version) AS s (place, model, rules)
      JOIN mlops.rule_set AS r ON r.model = s.model AND r.number = s.rules
     ORDER BY s.place
$$;
COMMENT ON FUNCTION mlops.card_rules(text, int) IS 'the rule sets that a version serves with, and what is in them';

CREATE FUNCTION mlops.describe(model text)
RETURNS text LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v jsonb;
    r jsonb;
    metric text;
    reference text;
    predicts text;
BEGIN
    SELECT c.version, c.recipe INTO STRICT v, r FROM mlops.version_card(describe.model) AS c;
    SELECT m.metric INTO metric FROM mlops.model AS m WHERE m.model = v ->> 'model';
    r := r || pg_catalog.jsonb_build_object('imported', v #> '{spec,imported}');
    reference := pg_catalog.format('%s/%s', v ->> 'model', v ->> 'version');
    predicts := CASE v ->> 'task'
        WHEN 'binary' THEN pg_catalog.format('the probability that "%s" is "%s"; label "%s" from %s',
             v ->> 'target', r ->> 'positive', r ->> 'positive', mlops.card_threshold(v))
        WHEN 'multiclass' THEN pg_catalog.format('which of %s classes "%s" is', r ->> 'classes', v ->> 'target')
        WHEN 'cluster' THEN 'the cluster that a row belongs to'
        WHEN 'anomaly' THEN 'how unusual a row is, from 0 to 1'
        WHEN 'projection' THEN 'nothing: mlops_transform gives the coordinates of a row'
        ELSE pg_catalog.format('the value of "%s"', v ->> 'target') END;
    RETURN (
        SELECT pg_catalog.string_agg(pg_catalog.rpad(CASE WHEN l.line = 1 THEN l.label ELSE '' END, 12) || l.text, E'\n'
                                     ORDER BY l.place, l.line)
          FROM (
            SELECT p.place, p.label, t.text, pg_catalog.row_number() OVER (PARTITION BY p.place ORDER BY t.n, t.part) AS line
              FROM (VALUES
                (1, 'version', ARRAY[reference || ' (' || mlops.card_status(v ->> 'model', (v ->> 'version')::int) ||
                                     CASE WHEN (v ->> 'scratch')::boolean THEN ', scratch)' ELSE ')' END]),
                (2, 'predicts', ARRAY[predicts]),
                (2.5, 'rules', ARRAY(SELECT mlops.card_rules(v ->> 'model', (v ->> 'version')::int))),
                (3, 'algorithm', ARRAY[(v ->> 'algorithm') || COALESCE(': ' || mlops.card_pairs(v -> 'params'), '')]),
                (4, 'source', pg_catalog.string_to_array(v ->> 'source', E'\n')),
                (5, 'rows', CASE WHEN r ->> 'imported' IS NULL THEN ARRAY[
                    pg_catalog.format('%s read, %s used: %s to train, %s held out', v ->> 'rows_read', v ->> 'rows_used',
                                      v ->> 'rows_training', v ->> 'rows_holdout'),
                    'skipped: ' || (SELECT mlops.card_pairs(pg_catalog.jsonb_object_agg(s.key, s.value))
                                      FROM pg_catalog.jsonb_each(v -> 'rows_skipped') AS s WHERE s.value <> '0'),
                    'split: ' || mlops.card_split(v),
                    CASE WHEN (v ->> 'row_security')::boolean
                         THEN 'row-level security left rows of the source out' END,
                    'time: ' || (v ->> 'time_from') || ' to ' || (v ->> 'time_to'),
                    'fingerprint: ' || pg_catalog.substr(v ->> 'data_fingerprint', 3)] END),
                (6, 'columns', ARRAY[CASE WHEN r ->> 'kind' IN ('trees', 'bayes') THEN pg_catalog.format('%s features', r ->> 'features')
                                          ELSE CASE WHEN v #>> '{params,encoder}' IS NULL
                          THEN pg_catalog.format('%s features become %s columns of numbers', r ->> 'features', r ->> 'design_columns')
                          ELSE pg_catalog.format('encoder %s makes %s numbers of them', v #>> '{params,encoder}', r ->> 'features') END END,
                                     mlops.card_columns(v -> 'columns')]),
                (7, 'metrics', ARRAY(SELECT mlops.card_metrics(v, metric))),
                (8, 'model', ARRAY(SELECT pg_catalog.jsonb_array_elements_text(r -> 'model'))),
                (9, 'tree', ARRAY(SELECT pg_catalog.jsonb_array_elements_text(r -> 'tree'))),
                (10, 'effects', ARRAY(SELECT mlops.card_effects(reference, r))),
                (11, 'missing', ARRAY(SELECT mlops.card_missing(r))),
                (12, 'warnings', ARRAY(SELECT pg_catalog.jsonb_array_elements_text(v -> 'warnings'))),
                (13, CASE WHEN r ->> 'imported' IS NULL THEN 'trained' ELSE 'imported' END, ARRAY[pg_catalog.format('by %s at %s', v ->> 'trained_by', v ->> 'trained_at')]),
                (14, 'note', ARRAY[v ->> 'note']),
                (15, 'builds', ARRAY[mlops.card_pairs(v -> 'builds')]),
                (16, 'artifact', ARRAY[pg_catalog.format('format %s, %s bytes, SHA-256 %s', v ->> 'artifact_format',
                                                         v ->> 'artifact_size', pg_catalog.substr(v ->> 'sha256', 3))])
              ) AS p (place, label, texts)
              CROSS JOIN LATERAL (
                SELECT COALESCE(w.text, u.text), u.n, w.part
                  FROM pg_catalog.unnest(p.texts) WITH ORDINALITY AS u (text, n)
                  -- a query keeps the lines that its author gave it, a tree its indentation
                  LEFT JOIN LATERAL mlops.card_lines(u.text) WITH ORDINALITY AS w (text, part) ON p.label NOT IN ('source', 'tree')
                 WHERE u.text IS NOT NULL) AS t (text, n, part)
          ) AS l);
END
$$;
COMMENT ON FUNCTION mlops.describe(text) IS 'what mlops_describe answers';

CREATE FUNCTION mlops_describe(model text)
RETURNS text
AS 'MODULE_PATHNAME', 'mlops_forward' LANGUAGE C STABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_describe(text) IS
'a model card: what a version predicts, from which data, how well, what matters to it, what it makes of missing values';
