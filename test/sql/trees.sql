-- Trees: a row goes left where it meets a node's condition, and adds what its
-- leaf says. These are made by hand, field by field, so that what they answer
-- can be worked out beside them.

CREATE SCHEMA trees_test;
SET search_path = trees_test;
\set ECHO none
SET client_min_messages = error;
\i test/fuzz/build.sql
\set ECHO all

-- Two trees: age at 37.5, those below by plan; income at 5.
SELECT store('trees_value', 'regression', artifact(1, '{}', trees(0, '{1}', false, false, 8,
         tree(0, below(0, 37.5, true, 10, 3), among(1, 6, 2), leaf(4, 4), leaf(1, 2), leaf(2, 4)),
         tree(0, below(1, 5, false, 10, 1), leaf(0.5, 5), leaf(-0.5, 5)))));

-- The nodes as rows. What meets the condition goes to the left node.
SELECT tree, node, depth, output, feature, condition, left_node, right_node, value, cover, gain FROM mlops_trees('trees_value/1');

-- A value at a threshold goes right, and so does a missing one unless the node
-- says otherwise; infinities are numbers like others; a plan that training never
-- saw is one of the rare ones.
CREATE TABLE person (id int, age int, income float8, plan text);
INSERT INTO person VALUES
    (1, 30, 3, 'basic'), (2, NULL, 7, 'pro'), (3, 38, 5, 'free'), (4, 37, NULL, NULL), (5, 50, 'Infinity', 'basic'),
    (6, 20, '-Infinity', 'basic'), (7, 37, 'NaN', 'free'), (8, NULL, NULL, NULL);
SELECT id, mlops_predict('trees_value/1', person) AS prediction,
       1 + CASE WHEN age < 37.5 OR age IS NULL THEN CASE WHEN plan = 'basic' THEN 1 ELSE 2 END ELSE 4 END
         + CASE WHEN income < 5 THEN 0.5 ELSE -0.5 END AS by_hand
  FROM person ORDER BY id;

-- Links: log-odds for two classes, a score each for several, 2^-mean for
-- isolation forests. The mean is over the trees of an output.
SELECT store('trees_binary', 'binary', artifact(2, '{no,yes}', trees(1, '{0.25}', false, false, 3,
         tree(0, below(0, 37.5, true, 10, 3), leaf(-1, 6), leaf(1, 4)))));
SELECT store('trees_votes', 'binary', artifact(2, '{no,yes}', trees(0, '{0}', true, false, 4,
         tree(0, below(0, 37.5, true, 10, 3), leaf(0.2, 6), leaf(0.8, 4)), tree(0, leaf(0.4, 10)))));
SELECT store('trees_several', 'multiclass', artifact(4, '{a,b,c}', trees(6, '{0,0,0.5}', false, false, 11,
         tree(2, below(0, 37.5, true, 10, 3), among(1, 6, 2), leaf(4, 4), leaf(1, 2), leaf(2, 4)),
         tree(0, below(0, 37.5, true, 10, 3), leaf(4, 4), leaf(2, 4)),
         tree(1, below(1, 5, false, 10, 1), leaf(0.5, 5), leaf(-0.5, 5)))));
SELECT store('trees_anomaly', 'anomaly', artifact(16, '{}', trees(7, '{0}', true, false, 4,
         tree(0, below(0, 37.5, true, 10, 3), leaf(1, 6), leaf(0.5, 4)), tree(0, leaf(0.5, 10)))));
SELECT id, round(mlops_predict('trees_binary/1', p)::numeric, 9) = round((1 / (1 + exp(CASE WHEN age >= 37.5 THEN -1.25 ELSE 0.75 END)))::numeric, 9) AS odds,
       mlops_predict_label('trees_binary/1', p) AS label,
       round(mlops_predict('trees_votes/1', p)::numeric, 9) AS votes,
       round(mlops_predict('trees_anomaly/1', p)::numeric, 9) = round((2 ^ -CASE WHEN age >= 37.5 THEN 0.5 ELSE 0.75 END)::numeric, 9) AS halving,
       mlops_predict_label('trees_several/1', p) AS class,
       (SELECT string_agg(key || ' ' || round(value::numeric, 6), ', ' ORDER BY key) FROM jsonb_each_text(mlops_predict_proba('trees_several/1', p))) AS classes
  FROM person AS p WHERE id IN (1, 3) ORDER BY id;
SELECT string_agg(k || ' ' || round((exp(e) / sum)::numeric, 6), ', ' ORDER BY k) AS by_hand
  FROM (SELECT *, sum(exp(e)) OVER () FROM (VALUES ('a', 4), ('b', 0.5), ('c', 0.5 + 1)) AS v (k, e)) AS s;
SELECT tree, node, output, condition, value FROM mlops_trees('trees_several/1') WHERE tree = 1;

-- XGBoost compares in single precision: 0.1::float4 is more than 0.1.
SELECT store('trees_double', 'regression', artifact(1, '{}', trees(0, '{0}', false, false, 3,
         tree(0, below(1, 0.1::float4, false, 10, 1), leaf(1, 5), leaf(2, 5)))));
SELECT store('trees_single', 'regression', artifact(1, '{}', trees(0, '{0}', false, true, 3,
         tree(0, below(1, 0.1::float4, false, 10, 1), leaf(1, 5), leaf(2, 5)))));
SELECT mlops_predict('trees_double/1', '{"age": 1, "income": 0.1, "plan": ""}') AS double_precision,
       mlops_predict('trees_single/1', '{"age": 1, "income": 0.1, "plan": ""}') AS single_precision;
SELECT condition FROM mlops_trees('trees_double/1') WHERE node = 1
UNION ALL SELECT condition FROM mlops_trees('trees_single/1') WHERE node = 1;

-- Importance is what the splits of a feature gained.
SELECT feature, importance, round(share::numeric, 3) AS share FROM mlops_importance('trees_value/1');
SELECT * FROM mlops_coefficients('trees_value/1');

-- A model card says how large trees are, and shows a single one in full.
SELECT line FROM regexp_split_to_table(mlops_describe('trees_value/1'), E'\n') AS line WHERE line ~ '^(model|effects|predicts|missing|columns)';
SELECT line FROM regexp_split_to_table(mlops_describe('trees_binary/1'), E'\n') WITH ORDINALITY AS l (line, n) WHERE line ~ '^(model|tree  |    .*(yes|no): )' ORDER BY n;

-- ---- explained ----

-- Shapley values by their definition: the mean, over the orders in which
-- features can become known, of what a feature changes. A split on a feature
-- that is not known goes both ways, in the proportion of the training rows.
CREATE FUNCTION goes_left(condition text, person jsonb) RETURNS bool LANGUAGE sql AS $$
    SELECT CASE WHEN condition ~ ' in ' THEN
                     CASE WHEN person ->> 'plan' IS NULL THEN '(null)' WHEN person ->> 'plan' IN ('basic', 'pro') THEN person ->> 'plan' ELSE '(other)' END
                     = ANY (string_to_array(substring(condition FROM '\((.*)\)$'), ', '))
                ELSE coalesce(NULLIF(person ->> split_part(condition, ' ', 1), 'NaN')::float8 < split_part(condition, ' ', 3)::float8, condition ~ 'missing') END $$;
CREATE FUNCTION known_value(model text, in_tree int, at int, known text[], person jsonb) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE n record; l float8; r float8; share float8;
BEGIN
    SELECT * INTO n FROM mlops_trees(model) AS t WHERE t.tree = in_tree AND t.node = at;
    IF n.feature IS NULL THEN RETURN n.value; END IF;
    IF n.feature = ANY (known) THEN
        RETURN known_value(model, in_tree, CASE WHEN goes_left(n.condition, person) THEN n.left_node ELSE n.right_node END, known, person);
    END IF;
    l := known_value(model, in_tree, n.left_node, known, person);
    r := known_value(model, in_tree, n.right_node, known, person);
    SELECT cl.cover / (cl.cover + cr.cover) INTO share FROM mlops_trees(model) AS cl, mlops_trees(model) AS cr
     WHERE cl.tree = in_tree AND cl.node = n.left_node AND cr.tree = in_tree AND cr.node = n.right_node;
    RETURN share * l + (1 - share) * r;
END $$;
CREATE FUNCTION game(model text, known text[], person jsonb) RETURNS float8 LANGUAGE sql AS $$
    SELECT sum(known_value(model, tree, 1, known, person)) FROM generate_series(1, (SELECT max(tree) FROM mlops_trees(model))) AS tree $$;
CREATE FUNCTION shapley(model text, of_feature text, person jsonb) RETURNS float8 LANGUAGE sql AS $$
    WITH orders (o) AS (VALUES ('{age,income,plan}'::text[]), ('{age,plan,income}'), ('{income,age,plan}'), ('{income,plan,age}'), ('{plan,age,income}'), ('{plan,income,age}'))
    SELECT avg(game(model, o[:array_position(o, of_feature)], person) - game(model, o[:array_position(o, of_feature) - 1], person)) FROM orders $$;

-- features asked for more than once on a path, with interactions
SELECT store('trees_deep', 'regression', artifact(1, '{}', trees(0, '{2}', false, false, 16,
         tree(0, below(0, 37.5, true, 20, 3), below(1, 5, false, 12, 2), among(5, 8, 1),
                 below(0, 25, false, 7, 1), among(2, 5, 1), below(1, 2, true, 3, 1), leaf(-3, 5),
                 leaf(1, 3), leaf(2, 4), leaf(5, 1), leaf(-1, 4), leaf(0.5, 2), leaf(7, 1)),
         tree(0, below(1, 5, false, 10, 1), leaf(0.5, 5), leaf(-0.5, 5)))));
SELECT p.id, e.feature, e.value, round(e.contribution::numeric, 6) AS contribution,
       abs(e.contribution - shapley('trees_deep/1', e.feature, to_jsonb(p))) < 1e-12 AS is_shapley
  FROM person AS p, mlops_explain('trees_deep/1', p) AS e
 WHERE e.feature <> '(base)' ORDER BY p.id, e.feature COLLATE "C";

-- With the base, which is what the trees say when nothing is known, they add up.
SELECT p.id, abs(sum(e.contribution) - mlops_predict('trees_deep/1', p)) < 1e-12 AS adds_up,
       abs(min(e.contribution) FILTER (WHERE feature = '(base)') - 2 - game('trees_deep/1', '{}', to_jsonb(p))) < 1e-12 AS base
  FROM person AS p, mlops_explain('trees_deep/1', p) AS e GROUP BY p.id, p.* ORDER BY p.id;

-- Of two classes the positive one is explained, in log-odds; of several the one
-- that is predicted; or the class that is named.
SELECT m, c, round(sum(contribution)::numeric, 6) AS eta
  FROM (VALUES ('trees_binary/1', NULL), ('trees_binary/1', 'no'), ('trees_votes/1', NULL), ('trees_votes/1', 'no'),
               ('trees_several/1', NULL), ('trees_several/1', 'a'), ('trees_several/1', 'b'), ('trees_anomaly/1', NULL)) AS v (m, c),
       mlops_explain(m, '{"age": 30, "income": 3, "plan": "basic"}', c)
 GROUP BY m, c ORDER BY m COLLATE "C", c COLLATE "C" NULLS FIRST;

-- ---- any bytes ----

-- Nodes do not say where their children are, so whatever the bytes, what is
-- read is a tree. Anything else that makes no sense is refused.
CREATE FUNCTION check_trees(predictor bytea, task int DEFAULT 1, classes text[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
    PERFORM mlops.artifact_check(artifact(task, classes, predictor));
    RETURN 'a model';
EXCEPTION WHEN SQLSTATE 'ML004' THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN regexp_replace(detail, '^At byte \d+, ', '');
END $$;
SELECT what, check_trees(p) FROM (VALUES
    (1, 'a split without children', trees(0, '{0}', false, false, 1, tree(0, below(0, 1, true, 1, 1)))),
    (2, 'one child only', trees(0, '{0}', false, false, 2, tree(0, below(0, 1, true, 1, 1), leaf(1, 1)))),
    (3, 'nodes that nothing leads to', trees(0, '{0}', false, false, 2, tree(0, leaf(1, 1), leaf(1, 1)))),
    (4, 'more nodes promised than there are', trees(0, '{0}', false, false, 1000000, tree(0, leaf(1, 1)))),
    (5, 'more nodes in trees than there are', trees(0, '{0}', false, false, 1, tree(0, below(0, 1, true, 1, 1), leaf(1, 1), leaf(1, 1)))),
    (6, 'fewer nodes in trees than promised', trees(0, '{0}', false, false, 2, tree(0, leaf(1, 1)))),
    (7, 'a column that is none', trees(0, '{0}', false, false, 3, tree(0, below(3, 1, true, 1, 1), leaf(1, 1), leaf(1, 1)))),
    (8, 'a code that is none', trees(0, '{0}', false, false, 3, tree(0, among(16, 1, 1), leaf(1, 1), leaf(1, 1)))),
    (9, 'a threshold that is not finite', trees(0, '{0}', false, false, 3, tree(0, below(0, 'NaN', true, 1, 1), leaf(1, 1), leaf(1, 1)))),
    (10, 'a value that is not finite', trees(0, '{0}', false, false, 1, tree(0, leaf('Infinity', 1)))),
    (11, 'no rows in a leaf', trees(0, '{0}', false, false, 1, tree(0, leaf(1, 0)))),
    (12, 'an output that is none', trees(0, '{0}', false, false, 1, tree(1, leaf(1, 1)))),
    (13, 'softmax of one number', trees(6, '{0}', false, false, 1, tree(0, leaf(1, 1)))),
    (14, 'two outputs of a regression', trees(0, '{0,0}', false, false, 1, tree(0, leaf(1, 1)))),
    (15, 'as it should be', trees(0, '{0}', false, false, 1, tree(0, leaf(1, 1))))
  ) AS v (n, what, p) ORDER BY n;
SELECT check_trees(trees(1, '{0,0}', false, false, 1, tree(0, leaf(1, 1))), 4, '{a,b}') AS logit_of_several,
       check_trees(trees(0, '{0}', false, false, 1, tree(0, leaf(1, 1))), 8) AS cluster;

-- A tree as deep as a list is bounded: it would be slow, and slow to explain.
SELECT n, check_trees(trees(0, '{0}', false, false, 2 * n + 1,
           tree(0, VARIADIC (SELECT array_agg(b ORDER BY i) FROM (
               SELECT 0 AS i, below(0, 0, true, 1, 1) AS b
               UNION ALL SELECT 2 * k - 1, leaf(k, 1) FROM generate_series(1, n) AS k
               UNION ALL SELECT 2 * k, CASE WHEN k < n THEN below(0, k, true, 1, 1) ELSE leaf(0, 1) END FROM generate_series(1, n) AS k) AS s))))
  FROM (VALUES (512), (513)) AS v (n);

DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT model FROM mlops.model WHERE model ~ '^(trees_|build_template)' LOOP
        PERFORM mlops_drop_model(name);
    END LOOP;
END $$;
SET client_min_messages = warning;
DROP SCHEMA trees_test CASCADE;
