-- What a rollback does, said again in twenty lines of PL/pgSQL: a stack of
-- bundles; a promotion that changes something pushes what served, a rollback
-- of n steps takes n off. 400 random promotions, rollbacks, aborts and
-- trainings, with thresholds, stacks that overflow and impossible rollbacks,
-- lead the real thing and the model of it to the same bundle after every step.
CREATE SCHEMA ml_walk;
SET search_path = ml_walk;
SET client_min_messages = error;
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, i * 5 % 13 > 5 AS bought FROM generate_series(1, 80) AS i;
SELECT max(mlops_train_now('walk', 'visit', 'bought', params => format('{"l2": %s}', i)::jsonb)) AS versions
  FROM generate_series(1, 4) AS i;

CREATE TABLE walked (step int, what text, refused boolean, sqlstate text);
DO $$
DECLARE
    depth constant int := 3;
    stack text[] := '{}';       -- of 'version/threshold', the oldest first
    serves text;
    before_serves text;
    before_stack text[];
    what int;
    steps int;
    state text;
    target int;
    at_threshold float8;
    wanted text;
    found text;
    depth_now int;
BEGIN
    PERFORM setseed(0.42);
    PERFORM set_config('mlops.rollback_depth', depth::text, false);
    FOR i IN 1..400 LOOP
        what := floor(random() * 10);
        before_serves := serves;
        before_stack := stack;
        state := NULL;
        IF what < 5 THEN
            target := 1 + floor(random() * 4);
            at_threshold := round((random() * 3)::numeric) / 4;
            wanted := target || '/' || at_threshold;
            PERFORM mlops_promote('walk', target, threshold => at_threshold);
            IF wanted IS DISTINCT FROM serves THEN
                IF serves IS NOT NULL THEN
                    stack := stack || serves;
                    stack := stack[greatest(cardinality(stack) - depth, 0) + 1 :];
                END IF;
                serves := wanted;
            END IF;
        ELSIF what < 8 THEN
            steps := 1 + floor(random() * 3);
            BEGIN
                PERFORM mlops_rollback('walk', steps);
            EXCEPTION WHEN object_not_in_prerequisite_state THEN
                state := SQLSTATE;
            END;
            IF steps > cardinality(stack) THEN
                IF state IS NULL THEN
                    RAISE EXCEPTION 'step %: a rollback of % steps went past the stack %', i, steps, stack;
                END IF;
            ELSE
                serves := stack[cardinality(stack) - steps + 1];
                stack := stack[: cardinality(stack) - steps];
            END IF;
        ELSIF what = 8 THEN
            -- both of them, and then not
            BEGIN
                PERFORM mlops_promote('walk', 1 + i % 4, threshold => 0.9);
                PERFORM mlops_rollback('walk');
                PERFORM mlops_promote('walk', 1 + (i + 1) % 4, threshold => 0.8);
                RAISE division_by_zero;
            EXCEPTION WHEN division_by_zero OR object_not_in_prerequisite_state THEN
                NULL;
            END;
            -- a server with assertions does not let a transaction that locked a row update
            -- it after a subtransaction that did was undone (heap_update, in any table)
            COMMIT;
        ELSE
            IF i % 8 = 0 THEN
                PERFORM mlops_train_now('walk', 'visit', 'bought', options => '{"scratch": true}');
            END IF;
        END IF;
        INSERT INTO walked VALUES (i, CASE WHEN what < 5 THEN 'promote' WHEN what < 8 THEN 'rollback'
                                           WHEN what = 8 THEN 'abort' ELSE 'train' END, state IS NOT NULL, state);

        -- the registry says the same, and so do the scores
        SELECT s.version || '/' || s.threshold, cardinality(s.stack) INTO found, depth_now FROM mlops.serving AS s WHERE model = 'walk';
        IF found IS DISTINCT FROM serves OR coalesce(depth_now, 0) <> cardinality(stack) THEN
            RAISE EXCEPTION 'step %: % with % to go back to serves, expected % with %', i, found, depth_now, serves, stack
                  USING DETAIL = format('Before: %s with %s.', before_serves, before_stack);
        END IF;
        IF (SELECT string_agg(d.version || '/' || d.threshold, ' ' ORDER BY k)
              FROM mlops.serving AS s, unnest(s.stack) WITH ORDINALITY AS u (number, k)
              JOIN mlops.deployment AS d ON d.model = 'walk' AND d.number = u.number
             WHERE s.model = 'walk') IS DISTINCT FROM nullif(array_to_string(stack, ' '), '') THEN
            RAISE EXCEPTION 'step %: another stack than %', i, stack;
        END IF;
        IF serves IS NOT NULL AND (SELECT mlops_predict('walk', v) <> mlops_predict('walk/' || split_part(serves, '/', 1), v)
                                          OR mlops_predict_label('walk', v) <> (mlops_predict('walk', v) >= split_part(serves, '/', 2)::float8)::text
                                     FROM visit AS v WHERE n = 1 + i % 80) THEN
            RAISE EXCEPTION 'step %: the scores are not those of %', i, serves;
        END IF;
    END LOOP;
END $$;

-- the walk was a walk: everything happened, and rollbacks were refused too
SELECT what, count(*) > 20 AS often, bool_or(refused) AS refused, max(sqlstate) AS sqlstate FROM walked GROUP BY what ORDER BY what;

-- the history has no gaps, every line starts where the one before ended, and says what a rollback restored
SELECT max(number) = count(*) AS no_gaps, bool_and(from_version IS NOT DISTINCT FROM earlier) AS continuous,
       bool_and((action = 'rollback') = (restored_deployment IS NOT NULL)) AS rollbacks_restore
  FROM (SELECT *, lag(version) OVER (ORDER BY number) AS earlier FROM mlops.deployment WHERE model = 'walk') AS d;
SELECT bool_and(d.version = r.version AND d.threshold = r.threshold AND d.number > r.number) AS restored_what_was
  FROM mlops.deployment AS d JOIN mlops.deployment AS r ON r.model = d.model AND r.number = d.restored_deployment
 WHERE d.model = 'walk' AND d.action = 'rollback';

RESET mlops.rollback_depth;
SELECT mlops_drop_model('walk', force => true);
DROP SCHEMA ml_walk CASCADE;
